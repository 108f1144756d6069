// A made-up town for tests: random events, each with the card before and after it, and the boards that follow from them.

import { columnKey, fits, STATES } from "../../../../web/page/board_model.js";
import { NO_FILTERS } from "../../../../web/page/place.js";

export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = (next, values) => values[Math.floor(next() * values.length)];

/** Steps of a town's life: tasks come, change in every way a card can, and go. */
export function makeSteps(seed, count) {
  const next = random(seed);
  const tasks = new Map();
  const steps = [];
  for (let number = 1; number <= count; number += 1) {
    const moment = { position: `${1_700_000_000_000 + number * 60_000}-${number}`, number, time: timeOf(number) };
    const isNew = tasks.size < 3 || next() < 0.25;
    const id = isNew ? `00000000-0000-4000-8000-${String(number).padStart(12, "0")}` : pick(next, [...tasks.keys()]);
    const before = tasks.get(id) ?? null;
    let after = null;
    if (isNew) {
      after = { id, title: `Task ${number}`, state: "pending", assigned_to: null, parent_id: null, tags: [], version: 1, created_number: number, created_at: timeOf(number) };
    } else if (next() < 0.93) {
      after = changed(next, before, [...tasks.keys()]);
    }
    if (next() < 0.03) {
      steps.push({ ...moment, type: "event.annotated", actor: "ada", task: "town", before: null, after: null });
      continue;
    }
    if (after) tasks.set(id, after);
    else tasks.delete(id);
    steps.push({ ...moment, type: "task.noted", actor: "ada", task: id, before, after });
  }
  return steps;
}

function changed(next, card, ids) {
  const state = pick(next, STATES);
  const agent = state === "pending" ? null : pick(next, ["ada", "bob", "cem"]);
  const tags = next() < 0.3 ? [pick(next, ["web", "core"])] : card.tags;
  const parent = next() < 0.2 ? pick(next, [null, ...ids.slice(0, 3)]) : card.parent_id;
  const priority = next() < 0.2 ? pick(next, [0, 1, 4]) : card.priority;
  return { ...card, state, assigned_to: agent, tags, parent_id: parent, ...(priority === undefined ? {} : { priority }), version: card.version + 1 };
}

export function timeOf(number) {
  return new Date(1_700_000_000_000 + number * 60_000).toISOString();
}

/** The server's answer of a board right after an event: made from all tasks of then, as the contract says. */
export function answerAt(steps, number, { by = "state", filters = NO_FILTERS, limit = Infinity } = {}) {
  const tasks = new Map();
  for (const step of steps.slice(0, number)) {
    if (step.after) tasks.set(step.task, step.after);
    else if (step.before) tasks.delete(step.task);
  }
  const groups = new Map(by === "state" ? STATES.map((state) => [state, []]) : []);
  for (const card of [...tasks.values()].filter((each) => fits(filters, each))) {
    const key = columnKey(by, card);
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), card]);
  }
  const keys = [...groups.keys()];
  if (by !== "state") keys.sort((a, b) => (a === null) - (b === null) || (a < b ? -1 : Number(a > b)));
  const columns = keys.map((key) => {
    const cards = groups.get(key).sort((a, b) => b.created_number - a.created_number);
    return { key, title: null, total: cards.length, has_more: cards.length > limit, tasks: cards.slice(0, limit) };
  });
  const { position, time } = steps[number - 1];
  return { town: "made-up", by, position, number, time, total: 0, columns };
}
