// Server-sent events: the same messages, however the text is cut into pieces.

import assert from "node:assert/strict";
import test from "node:test";

import { EventStreamParser } from "../../../../web/page/event_stream.js";

const TEXT = 'event: begin\ndata: {"position":"1-1"}\n\n: heartbeat\n\nid: 1-2\ndata: {"a":\ndata: 1}\n\r\nid: 1-3\r\ndata: x\r\n\r\nevent: end\n\ndata\n\n';

const MESSAGES = [
  { event: "begin", id: null, data: '{"position":"1-1"}' },
  { event: "message", id: "1-2", data: '{"a":\n1}' },
  { event: "message", id: "1-3", data: "x" },
  { event: "message", id: null, data: "" },
];

test("a stream that comes in pieces of any size has the same messages", () => {
  for (let size = 1; size <= TEXT.length; size += 1) {
    const parser = new EventStreamParser();
    const found = [];
    for (let start = 0; start < TEXT.length; start += size) found.push(...parser.feed(TEXT.slice(start, start + size)));
    assert.deepEqual(found, MESSAGES, `in pieces of ${size}`);
  }
});

test("a message that is not finished is not told", () => {
  assert.deepEqual(new EventStreamParser().feed("id: 1-1\ndata: half"), []);
});
