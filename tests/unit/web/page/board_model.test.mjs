// The board and its two ways through time. What a column shows is exact, whatever was loaded of it.

import assert from "node:assert/strict";
import test from "node:test";

import { boardOf, fits, forward, isAsking, isSteppable, reverse, withMore } from "../../../../web/page/board_model.js";
import { GROUPS, NO_FILTERS } from "../../../../web/page/place.js";
import { answerAt, makeSteps, random } from "./town.mjs";

const FILTERS = [
  NO_FILTERS,
  { ...NO_FILTERS, agent: "ada" },
  { ...NO_FILTERS, tag: ["web"] },
  { ...NO_FILTERS, not_tag: ["web"], priority: ["0", "2"] },
  { ...NO_FILTERS, state: ["pending", "running"] },
];

const bare = ({ columns, number, position, time }) => ({ number, position, time, columns: columns.map(({ key, total, cards }) => ({ key, total, cards })) });

for (const by of GROUPS) {
  test(`a board by ${by} and the steps between two moments make the board of the other moment, both ways`, () => {
    const next = random(7);
    const steps = makeSteps(3, 400);
    for (const filters of FILTERS) {
      const whole = (number) => boardOf(answerAt(steps, number, { by, filters }), filters);
      for (let time = 0; time < 25; time += 1) {
        const [low, high] = [1 + Math.floor(next() * 399), 1 + Math.floor(next() * 399)].sort((a, b) => a - b);
        const between = steps.slice(low, high);
        assert.deepEqual(bare(forward(whole(low), between)), bare(whole(high)));
        assert.deepEqual(bare(reverse(whole(high), between, steps[low - 1])), bare(whole(low)));
      }
    }
  });
}

test("of a column that was not loaded whole, the total and all cards down to its last one stay exact", () => {
  const next = random(11);
  const steps = makeSteps(5, 600);
  for (let time = 0; time < 60; time += 1) {
    const [low, high] = [300 + Math.floor(next() * 299), 300 + Math.floor(next() * 299)].sort((a, b) => a - b);
    const between = steps.slice(low, high);
    const later = forward(boardOf(answerAt(steps, low, { limit: 5 }), NO_FILTERS), between);
    const earlier = reverse(boardOf(answerAt(steps, high, { limit: 5 }), NO_FILTERS), between, steps[low - 1]);
    for (const [board, number] of [[later, high], [earlier, low]]) {
      const exact = boardOf(answerAt(steps, number), NO_FILTERS);
      board.columns.forEach((column, index) => {
        assert.equal(column.total, exact.columns[index].total);
        assert.deepEqual(column.cards, exact.columns[index].cards.slice(0, column.cards.length));
      });
    }
  }
});

test("more cards of a column are put below those that it has, and none twice", () => {
  const steps = makeSteps(5, 300);
  const board = boardOf(answerAt(steps, 300, { limit: 2 }), NO_FILTERS);
  const exact = boardOf(answerAt(steps, 300), NO_FILTERS);
  const index = exact.columns.findIndex((column) => column.total > 4);
  const { key, cards } = exact.columns[index];
  assert.deepEqual(withMore(board, key, cards.slice(1, 4)).columns[index].cards, cards.slice(0, 4));
});

test("the board that was given is left as it is", () => {
  const steps = makeSteps(5, 100);
  const board = boardOf(answerAt(steps, 50), NO_FILTERS);
  const copy = structuredClone(board);
  forward(board, steps.slice(50));
  reverse(board, steps.slice(20, 50), steps[19]);
  assert.deepEqual(board, copy);
});

test("a search and what is late are left to the server", () => {
  assert.ok(isSteppable(NO_FILTERS));
  assert.ok(!isSteppable({ ...NO_FILTERS, q: "login" }));
  assert.ok(!isSteppable({ ...NO_FILTERS, overdue: true }));
  assert.ok(!isSteppable({ ...NO_FILTERS, parent: "an-alias" }));
});

test("a pending task has no holder, even if its record names an agent", () => {
  const card = { state: "pending", assigned_to: "ada", tags: [], parent_id: null };
  assert.ok(!fits({ ...NO_FILTERS, agent: "ada" }, card));
  assert.ok(fits({ ...NO_FILTERS, agent: "ada" }, { ...card, state: "completed" }));
});

test("a question is open until it is answered or the task is finished", () => {
  const asking = { state: "pending", question: "Which?", tags: [] };
  assert.ok(isAsking(asking));
  assert.ok(!isAsking({ ...asking, answer: "This" }));
  assert.ok(!isAsking({ ...asking, state: "cancelled" }));
  assert.ok(!isAsking({ state: "pending", tags: [] }));
});
