// The strip: every event has a place, every place an event, and they lead to each other.

import assert from "node:assert/strict";
import test from "node:test";

import { extended, numberAt, shareOf, timelineOf } from "../../../../web/page/timeline_model.js";

const bucket = (from, to, more = {}) => ({ from, to, start: new Date(from * 1_000).toISOString(), end: new Date(to * 1_000).toISOString(), events: to - from + 1, failures: 0, reopenings: 0, ...more });
const LINE = timelineOf({ events: 1_000, is_whole: true, buckets: [bucket(1, 1), bucket(2, 600), bucket(601, 603), bucket(604, 1_000)] });

test("the place of an event leads to that event", () => {
  for (let number = 1; number < 1_000; number += 1) assert.equal(numberAt(LINE, shareOf(LINE, number)), number);
  assert.equal(shareOf(LINE, 1_000), 1);
  assert.equal(numberAt(LINE, 1), 1_000);
});

test("from left to right the events go on without a step back, from the first to the last", () => {
  const numbers = Array.from({ length: 500 }, (_, index) => numberAt(LINE, index / 499));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.deepEqual([numbers[0], numbers.at(-1), numberAt(LINE, -1), numberAt(LINE, 2)], [1, 1_000, 1, 1_000]);
});

test("an idle stretch shows the events before it", () => {
  const line = timelineOf({ events: 9, is_whole: true, buckets: [bucket(1, 4), bucket(5, 4, { events: 0 }), bucket(5, 9)] });
  assert.equal(numberAt(line, 0.5), 4);
});

test("a new event makes the last part longer; one that is known does not", () => {
  const time = new Date(1_000_500).toISOString();
  const grown = extended(LINE, { number: 1_001, time, type: "task.failed" });
  assert.deepEqual([grown.events, grown.buckets.at(-1).to, grown.buckets.at(-1).events, grown.buckets.at(-1).failures], [1_001, 1_001, 398, 1]);
  assert.equal(extended(grown, { number: 1_001, time, type: "task.failed" }), grown);
});

test("a town without events has a strip, too", () => {
  const empty = timelineOf({ events: 0, is_whole: true, buckets: [] });
  assert.equal(numberAt(empty, 0.5), 0);
  assert.equal(shareOf(empty, 0), 1);
  assert.equal(extended(empty, { number: 1, time: new Date(5).toISOString(), type: "task.created" }).buckets.length, 1);
});
