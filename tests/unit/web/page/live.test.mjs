// The live stream: what it does where a connection dies without a word, and where its last event is gone.

import assert from "node:assert/strict";
import test from "node:test";

import { Live } from "../../../../web/page/live.js";

globalThis.sessionStorage = { getItem: () => null };

/** A server that sends a beginning and then nothing, or what `answer` says; `asked` resolves at the second request. */
function serve(answer) {
  let count = 0;
  return new Promise((resolve) => {
    globalThis.fetch = async (_, { headers, signal }) => {
      count += 1;
      if (count === 2) {
        resolve(headers);
        return new Promise(() => {});
      }
      return answer ? answer() : new Response(quiet(signal));
    };
  });
}

function quiet(signal) {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('event: begin\ndata: {"position":"1-7"}\n\nid: 1-8\ndata: {"number":8}\n\n'));
      signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
}

test("a connection that says nothing any more is given up, and the stream goes on behind its last event", async () => {
  const asked = serve();
  const seen = [];
  const live = new Live({ onEvent: (event) => seen.push(event.number), onBegin: () => {}, onLost: () => assert.fail(), silenceMs: 50 });
  live.run("1-7");
  assert.equal((await asked)["Last-Event-ID"], "1-8");
  assert.equal(live.state.now, "away");
  assert.deepEqual(seen, [8]);
});

test("who listens is told if the last event is not in the ledger any more", async () => {
  serve(() => new Response('{"title":"There is no such moment"}', { status: 404 }));
  await new Promise((resolve) => {
    new Live({ onEvent: () => {}, onBegin: () => {}, onLost: resolve, silenceMs: 50 }).run("1-7");
  });
});
