// The board's columns: each scrolls by itself, and holds in the document only the cards that can be seen.

import { cardsOf } from "./board_model.js";
import { Card } from "./card.js";
import { follow, place } from "./router.js";
import { html, useEffect, useMemo, useRef } from "./view.js";
import { brief, count, PRIORITY_WORDS, STATE_WORDS } from "./words.js";
import { useWindow } from "./window.js";

/** A card's height and the space below it, as style.css has them: --card-height and --card-gap. */
export const CARD_PIXELS = 106;
/** A jump over many events moves everything, and then nothing stands out. */
const ARRIVED_EVENTS_MAX = 12;
const NONE = new Set();

export function Columns({ board, now, session }) {
  const cards = useMemo(() => cardsOf(board), [board]);
  const arrivals = useArrivals(board);
  if (board.columns.length === 0) return html`<p class="empty">No task is open here.</p>`;
  return html`<div class="columns" data-by=${board.by}>
    ${board.columns.map((column) => html`<${Column} key=${String(column.key)} ...${{ board, column, now, cards, arrivals, session }} />`)}
  </div>`;
}

function Column({ board, column, now, cards, arrivals, session }) {
  const scroller = useRef(null);
  const shown = column.cards.length;
  const { first, last } = useWindow(scroller, shown, CARD_PIXELS);
  const lacks = column.total > shown && last >= shown - 10;
  useEffect(() => {
    if (lacks) session.loadMore(column.key).catch(() => {});
  }, [lacks, shown, board.number]);
  const space = useRef(null);
  useEffect(() => {
    space.current.style.height = `${shown * CARD_PIXELS}px`;
  }, [shown]);
  const title = titleOf(board.by, column, cards);
  return html`<section class=${`column${column.total ? "" : " is-empty"}`} aria-label=${`${title}, ${count(column.total)}`} data-key=${String(column.key)}>
    <h2 class="column-head">
      ${board.by === "state" && html`<span class="dot" data-state=${column.key} aria-hidden="true"></span>`}
      ${board.by === "parent" && column.key ? html`<a ...${follow({ page: "task", task: column.key })}><bdi>${title}</bdi></a>` : html`<bdi>${title}</bdi>`}
      <span class="total">${count(column.total)}</span>
    </h2>
    <div class="column-body" ref=${scroller} tabindex=${shown ? "0" : undefined} role="group" aria-label=${`Tasks: ${title}`}>
      <ul class="cards" ref=${space}>
        ${column.cards.slice(first, last).map(
          (card, index) => html`<${Slot} key=${card.id} top=${(first + index) * CARD_PIXELS} place=${first + index + 1} total=${column.total}>
            <${Card} ...${{ card, now, cards }} hasState=${board.by !== "state"} isNew=${arrivals.has(card.id)} />
          <//>`,
        )}
      </ul>
      ${shown === 0 && html`<p class="none">${column.total ? "…" : "None"}</p>`}
    </div>
  </section>`;
}

/** An entry of a long list, at its height in it. */
export function Slot({ top, place: number, total, children }) {
  const element = useRef(null);
  useEffect(() => {
    element.current.style.transform = `translateY(${top}px)`;
  }, [top]);
  return html`<li ref=${element} aria-posinset=${number} aria-setsize=${total}>${children}</li>`;
}

function titleOf(by, column, cards) {
  if (by === "state") return STATE_WORDS[column.key];
  if (by === "agent") return column.key === null ? "Backlog" : brief(column.key, 60);
  if (by === "priority") return `P${column.key} ${PRIORITY_WORDS[column.key]}`;
  if (column.key === null) return "No parent";
  return brief(column.title ?? cards.get(column.key)?.title ?? column.key.slice(0, 8), 80);
}

/** The cards that came, or moved to another column, with this board. */
function useArrivals(board) {
  const before = useRef({ board: null, places: new Map(), arrivals: NONE });
  if (before.current.board !== board) before.current = next(before.current, board);
  return before.current.arrivals;
}

function next(before, board) {
  const places = new Map(board.columns.flatMap(({ key, cards }) => cards.map((card) => [card.id, key])));
  const isNear = before.board?.by === board.by && Math.abs(before.board.number - board.number) <= ARRIVED_EVENTS_MAX;
  const isSame = before.board?.filters === board.filters && before.board?.number !== board.number;
  const arrivals = isNear && isSame ? [...places].filter(([id, key]) => before.places.get(id) !== key).map(([id]) => id) : [];
  return { board, places, arrivals: arrivals.length <= ARRIVED_EVENTS_MAX ? new Set(arrivals) : NONE };
}
