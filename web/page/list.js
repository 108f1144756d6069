// The list: all tasks that match, a row each. Pages are fetched as they come into view.

import { get } from "./api.js";
import { isAsking } from "./board_model.js";
import { Priority, Tags } from "./card.js";
import { Slot } from "./columns.js";
import { filterPairs } from "./place.js";
import { follow, go, place } from "./router.js";
import { html, useEffect, useMemo, useRef, useState, useValue } from "./view.js";
import { useWindow } from "./window.js";
import { age, brief, plural, STATE_WORDS } from "./words.js";

const PAGE_TASKS = 200;
/** A row's height, as style.css has it: --row-height. */
const ROW_PIXELS = 40;
const SORTS = [["created", "Newest"], ["updated", "Last changed"], ["priority", "Priority"], ["due", "Due"]];
const OLDEST_FIRST = new Set(["priority", "due"]);

export function ListPage({ board, now }) {
  const here = useValue(place);
  const number = board?.number ?? null;
  const sort = SORTS.some(([name]) => name === here.sort) ? here.sort : "created";
  const rows = useRows(here.filters, number, sort);
  const scroller = useRef(null);
  const { first, last } = useWindow(scroller, rows.total, ROW_PIXELS);
  useEffect(() => rows.want(first, last), [first, last, rows]);
  const space = useRef(null);
  useEffect(() => {
    space.current.style.height = `${rows.total * ROW_PIXELS}px`;
  }, [rows.total]);
  const shown = Array.from({ length: Math.max(last - first, 0) }, (_, index) => first + index);
  return html`<section class="list" aria-labelledby="list-head">
    <header class="list-head">
      <h2 id="list-head">${plural(rows.total, "task")}</h2>
      <label>Order <select value=${sort} onChange=${(event) => go({ sort: event.target.value })}>
        ${SORTS.map(([name, words]) => html`<option value=${name} selected=${name === sort}>${words}</option>`)}
      </select></label>
    </header>
    <div class="list-body" ref=${scroller} tabindex="0" role="group" aria-label="Tasks">
      <ul ref=${space}>
        ${shown.map((index) => html`<${Row} key=${index} index=${index} total=${rows.total} card=${rows.at(index)} now=${now} />`)}
      </ul>
      ${rows.total === 0 && number !== 0 && html`<p class="empty">No task matches.</p>`}
    </div>
  </section>`;
}

function Row({ index, total, card, now }) {
  return html`<${Slot} top=${index * ROW_PIXELS} place=${index + 1} total=${total}>
    ${card && html`<a class="row" data-task=${card.id} ...${follow({ page: "task", task: card.id })}>
      <span class="state" data-state=${card.state}>${STATE_WORDS[card.state]}</span>
      <span class="row-title"><${Priority} card=${card} /> <bdi>${brief(card.title) || "(no title)"}</bdi>${isAsking(card) && html` <span class="badge is-asking">?<span class="only-read"> asks a question</span></span>`}</span>
      <${Tags} tags=${card.tags} />
      <span class="agent"><bdi>${brief(card.assigned_to ?? "", 40)}</bdi></span>
      <span class="age">${age(card.updated_at, now)}</span>
    </a>`}
  <//>`;
}

/** The rows of a list: how many there are, and those that were fetched. */
function useRows(filters, number, sort) {
  const [found, setFound] = useState({ total: 0, rows: new Map() });
  const asked = useRef({ key: "", pages: new Set() });
  const key = JSON.stringify([filters, number, sort]);
  const want = useMemo(() => {
    const fetchPage = async (page) => {
      const mine = asked.current;
      if (mine.pages.has(page)) return;
      mine.pages.add(page);
      const pairs = [["sort", sort], ["reverse", OLDEST_FIRST.has(sort) ? null : "true"], ["fields", "card"], ["offset", page * PAGE_TASKS]];
      const answer = await get("/tasks", [...filterPairs(filters), ...pairs, ["limit", PAGE_TASKS], ["at", number || null]]).catch(() => null);
      if (answer === null || mine !== asked.current) return;
      setFound((now) => {
        const rows = mine.isFresh ? new Map(now.rows) : new Map();
        mine.isFresh = true;
        answer.tasks.forEach((card, index) => rows.set(page * PAGE_TASKS + index, card));
        const reached = page * PAGE_TASKS + answer.tasks.length + Number(answer.has_more);
        return { total: answer.total ?? Math.max(reached, now.total), rows };
      });
    };
    return (first, last) => {
      for (let page = Math.floor(first / PAGE_TASKS); page * PAGE_TASKS < Math.max(last, 1); page += 1) fetchPage(page);
    };
  }, [key]);
  if (asked.current.key !== key) asked.current = { key, pages: new Set(), isFresh: false };
  return useMemo(() => ({ total: found.total, at: (index) => found.rows.get(index), want }), [found, want]);
}
