// Small pure modules: playing, words, verbs, charts, values.

import assert from "node:assert/strict";
import test from "node:test";

import { cumulative, days, percentiles, scatter } from "../../../../web/page/charts_model.js";
import { due, SPEEDS, waitBefore } from "../../../../web/page/playing.js";
import { Steps } from "../../../../web/page/steps.js";
import { Value } from "../../../../web/page/value.js";
import { bodyOf, CREATE, VERBS, verbsOf } from "../../../../web/page/verbs.js";
import { age, brief, span, valueWord, visible } from "../../../../web/page/words.js";

const at = (seconds) => ({ time: new Date(seconds * 1_000).toISOString() });

test("at 1x an event waits as long as it did, and at a higher speed so much less", () => {
  assert.equal(waitBefore(800, 1), 800);
  assert.equal(waitBefore(800, 10), 80);
});

test("nobody waits long for an event, however long the town was idle", () => {
  for (const speed of SPEEDS) assert.ok(waitBefore(10 ** 12, speed) <= 1_200);
  assert.equal(waitBefore(-5, 1), 0);
});

test("the events whose time has come are due, and what is left counts for the next", () => {
  const steps = [at(1), at(1.5), at(100)];
  assert.deepEqual(due(steps, at(0).time, 1, 1_600), { number: 2, left: 100 });
  assert.deepEqual(due(steps, at(0).time, 1, 900), { number: 0, left: 900 });
});

test("unseen characters are written out, and letters stay", () => {
  assert.equal(visible("a\u202eb\u001b[31mé\u0000\u200b"), "a\\u202eb\\u001b[31mé\\u0000\\u200b");
  assert.equal(visible("two\nlines\t."), "two\nlines\t.");
});

test("a text of any length is brief on one line", () => {
  assert.equal(brief("a \n\n b"), "a b");
  assert.equal(brief("x".repeat(1_000), 10), `${"x".repeat(10)}…`);
});

test("spans and ages are in their largest unit", () => {
  assert.deepEqual([40_000, 720_000, 5_400_000, 3 * 86_400_000].map(span), ["40 s", "12 min", "1.5 h", "3 d"]);
  assert.equal(span(null), "–");
  assert.equal(age("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:00:30Z")), "now");
});

test("a value of any field is text", () => {
  assert.deepEqual([null, [], ["a", "b"], 3, ""].map(valueWord), ["–", "–", "a, b", "3", "–"]);
});

test("what can be done with a task follows from its state, and each verb keeps its place", () => {
  const places = (state, asks = false) => verbsOf({ state }, asks).map((verb) => verb.name);
  const names = (state, asks = false) => verbsOf({ state }, asks).filter((verb) => !verb.isOff).map((verb) => verb.name);
  assert.deepEqual(names("completed"), ["reopen", "note"]);
  assert.ok(names("running").includes("requeue") && !names("pending").includes("requeue"));
  assert.ok(names("pending", true).includes("answer") && !names("pending").includes("answer"));
  for (const state of ["assigned", "running", "completed", "failed", "cancelled"]) assert.deepEqual(places(state, true), places("pending"));
});

test("completing a pending task asks who did it", () => {
  const fieldsOf = (state) => verbsOf({ state }, false).find((verb) => verb.name === "complete").fields.map((field) => field.name);
  assert.ok(fieldsOf("pending").includes("agent"));
  assert.ok(!fieldsOf("running").includes("agent"));
});

test("every verb but a note and an answer asks why", () => {
  for (const verb of VERBS.filter(({ name }) => !["note", "answer"].includes(name))) assert.ok(verb.fields.some((field) => field.name === "reason"), verb.name);
});

test("a body has what was filled in, in the form the server takes", () => {
  const values = { description: " Write it ", tags: "a, b,,", priority: "0", agent: "", reason: "  " };
  assert.deepEqual(bodyOf(CREATE, values), { description: "Write it", tags: ["a", "b"], priority: 0 });
});

test("an answer in other words than those that were offered says so", () => {
  const answer = VERBS.find(({ name }) => name === "answer");
  assert.deepEqual(bodyOf(answer, { text: "Yes" }, { choices: ["Yes", "No"] }), { text: "Yes" });
  assert.deepEqual(bodyOf(answer, { text: "Perhaps" }, { choices: ["Yes", "No"] }), { text: "Perhaps", is_other: true });
  assert.deepEqual(bodyOf(answer, { text: "Perhaps" }, {}), { text: "Perhaps" });
});

test("charts get a column for the days and one for each line", () => {
  const rows = [{ day: "2026-01-01", created: 2, open: { pending: 1, completed: 2 } }, { day: "2026-01-02", open: { completed: 3 } }];
  assert.deepEqual(days(rows, ["created"]), [[1_767_225_600, 1_767_312_000], [2, 0]]);
  assert.deepEqual(cumulative(rows, ["pending", "completed"]).slice(1), [[3, 3], [2, 3]]);
});

test("percentiles come in their order, and have no value where nothing was measured", () => {
  assert.deepEqual(percentiles({ count: 3, p95: 9, p50: 2, p85: 5 }), [["median", 2], ["85 %", 5], ["95 %", 9]]);
  assert.deepEqual(percentiles({ count: 0, p50: null, p85: null, p95: null }).map(([, ms]) => ms), [null, null, null]);
});

test("a task that took no time has no dot on a logarithmic scale", () => {
  assert.deepEqual(scatter([{ time: "2026-01-01T00:00:00Z", lead_ms: 5 }, { time: "2026-01-01T00:00:00Z", lead_ms: 0 }]), [[1_767_225_600], [5]]);
});

test("steps are fetched once, in pieces, and only those that are missing", async () => {
  const asked = [];
  const steps = new Steps(async (after, limit) => {
    asked.push([after, limit]);
    return { steps: Array.from({ length: Math.min(limit, 3_000 - after) }, (_, index) => ({ number: after + index + 1 })) };
  });
  assert.deepEqual((await steps.range(5, 1_504)).map((step) => step.number).slice(-1), [1_504]);
  await steps.range(10, 1_510);
  assert.deepEqual(asked, [[4, 1_000], [1_004, 500], [1_504, 6]]);
  assert.equal(steps.ahead(1_500, 50), 10);
  await assert.rejects(steps.range(2_999, 3_001), /no step of event 3001/);
});

test("a value tells what is new, and only that", () => {
  const value = new Value(1);
  const heard = [];
  const end = value.subscribe((next) => heard.push(next));
  value.set(1);
  value.set(2);
  end();
  value.set(3);
  assert.deepEqual(heard, [2]);
});
