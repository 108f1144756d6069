// The live stream: every event of the town as it comes, over connections that come and go.

import { headersOf, refuse, urlOf } from "./api.js";
import { EventStreamParser } from "./event_stream.js";
import { Value } from "./value.js";

const RETRY_MS_MIN = 300;
const RETRY_MS_MAX = 10_000;
/** Three heartbeats of the server: a connection that says nothing for so long is gone, as after a sleep. */
const SILENCE_MS = 45_000;
const NOT_FOUND = 404;

export class Live {
  /** "connecting", "live" or "away". */
  state = new Value("connecting");
  #last = null;
  #onEvent;
  #onBegin;
  #onLost;
  #silenceMs;

  /** `onEvent` gets each event once and in order, `onBegin` the position at which the stream begins; `onLost` is told if the last event is gone. */
  constructor({ onEvent, onBegin, onLost, silenceMs = SILENCE_MS }) {
    this.#onEvent = onEvent;
    this.#onBegin = onBegin;
    this.#onLost = onLost;
    this.#silenceMs = silenceMs;
  }

  async run(position) {
    this.#last = position;
    let wait = RETRY_MS_MIN;
    for (;;) {
      const wasLive = await this.#connect();
      wait = wasLive ? RETRY_MS_MIN : Math.min(wait * 2, RETRY_MS_MAX);
      this.state.set("away");
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
    }
  }

  /** One connection, until it ends. Whether there was one. */
  async #connect() {
    const silent = new AbortController();
    const wait = () => setTimeout(() => silent.abort(), this.#silenceMs);
    let wasLive = false;
    let waiting = wait();
    try {
      const headers = headersOf({ Accept: "text/event-stream", ...(this.#last ? { "Last-Event-ID": this.#last } : {}) });
      const response = await fetch(urlOf("/events"), { headers, cache: "no-store", signal: silent.signal });
      if (!response.ok) await refuse(response);
      const parser = new EventStreamParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        wasLive = true;
        clearTimeout(waiting);
        waiting = wait();
        parser.feed(piece.value).forEach((message) => this.#take(message));
      }
    } catch (problem) {
      // The connection is gone, or was refused; the next try tells. Only an event that is not there will not come back.
      if (problem.status === NOT_FOUND) this.#onLost();
    } finally {
      clearTimeout(waiting);
    }
    return wasLive;
  }

  #take({ event, id, data }) {
    const value = JSON.parse(data);
    if (id) this.#last = id;
    if (event === "begin") {
      this.#last ??= value.position;
      this.state.set("live");
      this.#onBegin(value.position);
    } else if (event === "message") {
      this.#onEvent(value);
    }
  }
}
