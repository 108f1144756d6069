// Motion: cards that came to another column show it for a moment. Readers who want less motion get none, by style.css.

import { useRef } from "./view.js";

/** A jump over many events moves everything, and then nothing stands out. */
const EVENTS_MAX = 12;
const NONE = new Set();

/** The cards that came, or moved to another column, with this board. */
export function useArrivals(board) {
  const before = useRef({ board: null, places: new Map(), arrivals: NONE });
  if (before.current.board !== board) before.current = next(before.current, board);
  return before.current.arrivals;
}

function next(before, board) {
  const places = new Map(board.columns.flatMap(({ key, cards }) => cards.map((card) => [card.id, key])));
  const isNear = before.board?.by === board.by && Math.abs(before.board.number - board.number) <= EVENTS_MAX;
  const isSame = before.board?.filters === board.filters && before.board?.number !== board.number;
  const arrivals = isNear && isSame ? [...places].filter(([id, key]) => before.places.get(id) !== key).map(([id]) => id) : [];
  return { board, places, arrivals: arrivals.length <= EVENTS_MAX ? new Set(arrivals) : NONE };
}
