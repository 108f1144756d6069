// The board as a value, and the two ways through time: apply a step, or take it back. Pure.
// A column knows its newest cards down to a floor and counts the others, so every step leaves it exact.

export const STATES = ["pending", "assigned", "running", "completed", "failed", "cancelled"];
const OPEN = new Set(["pending", "assigned", "running"]);
const PRIORITY_USUAL = 2;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The board in an answer of the server, with the filters that it was asked with. */
export function boardOf(answer, filters) {
  const { by, position, number, time } = answer;
  const columns = answer.columns.map(({ key, title, total, tasks }) => ({ key, title, total, cards: tasks }));
  return { by, position, number, time, filters, columns };
}

/** The board after these steps, oldest first, which follow right on it. */
export function forward(board, steps) {
  return moved(board, steps.map(({ before, after }) => [before, after]), steps.at(-1) ?? board);
}

/** The board before these steps, oldest first, of which the last one led to it; `moment` is that before the first one. */
export function reverse(board, steps, moment) {
  return moved(board, steps.map(({ before, after }) => [after, before]).reverse(), moment);
}

/** Whether the page itself can tell if a card fits: what was searched, and what is late, only the server knows. */
export function isSteppable(filters) {
  return !filters.q && !filters.overdue && (!filters.parent || UUID.test(filters.parent));
}

export function fits(filters, card) {
  return (
    (!filters.state.length || filters.state.includes(card.state)) &&
    (!filters.agent || filters.agent === holderOf(card)) &&
    filters.tag.every((tag) => card.tags.includes(tag)) &&
    !filters.not_tag.some((tag) => card.tags.includes(tag)) &&
    (!filters.parent || filters.parent === card.parent_id) &&
    (!filters.priority.length || filters.priority.includes(String(priorityOf(card))))
  );
}

/** The key of the card's column; undefined if it has none: boards by something else than the state show open tasks. */
export function columnKey(by, card) {
  if (by === "state") return card.state;
  if (!OPEN.has(card.state)) return undefined;
  return { agent: holderOf, parent: (each) => each.parent_id, priority: priorityOf }[by](card);
}

export function holderOf(card) {
  return card.state === "pending" ? null : card.assigned_to;
}

export function priorityOf(card) {
  return card.priority ?? PRIORITY_USUAL;
}

export function isAsking(card) {
  return card.question !== undefined && card.question !== null && (card.answer ?? null) === null && OPEN.has(card.state);
}

export function isOpen(card) {
  return OPEN.has(card.state);
}

/** Column with more of its cards: those that come right below the ones it has. */
export function withMore(board, key, cards) {
  const columns = board.columns.map((column) => {
    if (column.key !== key) return column;
    const floor = floorOf(column);
    return { ...column, cards: [...column.cards, ...cards.filter((card) => rankOf(card) < floor)] };
  });
  return { ...board, columns };
}

/** Every card that is loaded, by its id. */
export function cardsOf(board) {
  return new Map(board.columns.flatMap((column) => column.cards.map((card) => [card.id, card])));
}

function moved(board, changes, { position, number, time }) {
  const columns = new Map(board.columns.map((column) => [column.key, column]));
  const touched = new Map();
  const draft = (key) => {
    if (!touched.has(key)) touched.set(key, copied(columns.get(key), key, board));
    return touched.get(key);
  };
  for (const [was, is] of changes) {
    const from = placeOf(board, was);
    const to = placeOf(board, is);
    if (from !== undefined) takeOut(draft(from), was);
    if (to !== undefined) putIn(draft(to), is);
  }
  for (const [key, column] of touched) columns.set(key, sealed(column));
  return { ...board, position, number, time, columns: arranged(board.by, [...columns.values()]) };
}

function placeOf(board, card) {
  return card !== null && fits(board.filters, card) ? columnKey(board.by, card) : undefined;
}

/** While steps are applied, a column has its floor beside it: what lies below is counted and not held. */
function copied(column, key) {
  if (column === undefined) return { key, title: null, total: 0, cards: [], floor: -Infinity };
  return { ...column, cards: [...column.cards], floor: floorOf(column) };
}

function sealed({ key, title, total, cards }) {
  return { key, title, total, cards };
}

function floorOf(column) {
  if (column.total <= column.cards.length) return -Infinity;
  return column.cards.length ? rankOf(column.cards.at(-1)) : Infinity;
}

function takeOut(column, card) {
  column.total -= 1;
  if (rankOf(card) < column.floor) return;
  const index = placeIn(column.cards, card);
  if (column.cards[index]?.id === card.id) column.cards.splice(index, 1);
}

function putIn(column, card) {
  column.total += 1;
  if (rankOf(card) >= column.floor) column.cards.splice(placeIn(column.cards, card), 0, card);
}

/** Where a card lies, or belongs, among cards that are sorted newest first. */
function placeIn(cards, card) {
  let [low, high] = [0, cards.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rankOf(cards[middle]) > rankOf(card)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function rankOf(card) {
  return card.created_number ?? 0;
}

/** All states always have a column; of the other columns those that have a task, and the one without a key last. */
function arranged(by, columns) {
  if (by === "state") return STATES.map((key) => columns.find((column) => column.key === key)).filter(Boolean);
  return columns.filter((column) => column.total > 0).sort((a, b) => inOrder(a.key, b.key));
}

function inOrder(a, b) {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return a < b ? -1 : Number(a > b);
}
