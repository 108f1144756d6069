// A card: a task in a column, in a few words.

import { isAsking, isOpen, priorityOf } from "./board_model.js";
import { follow } from "./router.js";
import { html } from "./view.js";
import { age, brief, PRIORITY_WORDS, STATE_WORDS } from "./words.js";

const TAGS_SHOWN = 3;

/** `now` is the time of the shown moment, and `cards` what else is on the board then: a card borrows nothing of today. */
export function Card({ card, now, cards, isNew, hasState }) {
  const needs = needsOf(card, cards);
  return html`<a class=${`card${isNew ? " is-new" : ""}`} data-task=${card.id} data-state=${card.state} ...${follow({ page: "task", task: card.id })}>
    <span class="card-title"><bdi>${brief(card.title) || "(no title)"}</bdi></span>
    <span class="card-facts">
      ${hasState && html`<span class="state" data-state=${card.state}>${STATE_WORDS[card.state]}</span>`}
      <${Priority} card=${card} />
      ${isAsking(card) && html`<span class="badge is-asking" title="It waits for an answer"><span aria-hidden="true">?</span><span class="only-read">asks a question</span></span>`}
      ${card.damaged_at && html`<span class="badge is-bad">damaged</span>`}
      ${card.assigned_to && html`<span class="agent"><span class="only-read">agent </span><bdi>${brief(card.assigned_to, 40)}</bdi></span>`}
      ${needs && html`<span class=${`needs${needs.isOver ? " is-over" : ""}`}>${needs.words}</span>`}
      ${card.due && html`<${Due} card=${card} now=${now} />`}
      <span class="age" title=${`Created ${card.created_at}`}><span class="only-read">age </span>${age(card.created_at, now)}</span>
    </span>
    ${card.tags.length > 0 && html`<${Tags} tags=${card.tags} />`}
  </a>`;
}

export function Tags({ tags, all }) {
  const shown = all ? tags : tags.slice(0, TAGS_SHOWN);
  return html`<span class="tags">
    ${shown.map((tag) => html`<span class="tag" key=${tag}><bdi>${brief(tag, 30)}</bdi></span>`)}
    ${tags.length > shown.length && html`<span class="tag">+${tags.length - shown.length}</span>`}
  </span>`;
}

export function Priority({ card }) {
  const priority = priorityOf(card);
  if (priority === 2) return null;
  return html`<span class="priority" data-priority=${priority} title=${`Priority: ${PRIORITY_WORDS[priority]}`}><span class="only-read">priority </span>P${priority}</span>`;
}

function Due({ card, now }) {
  const left = Date.parse(card.due) - now;
  const isLate = left < 0 && isOpen(card);
  return html`<span class=${`due${isLate ? " is-late" : ""}`}>${isLate ? "late" : "due"} ${card.due.slice(5, 10)}</span>`;
}

/** What is known at this moment of the tasks that it needs. */
function needsOf(card, cards) {
  const total = card.needs?.length ?? 0;
  if (total === 0 || !isOpen(card)) return null;
  const known = card.needs.map((id) => cards.get(id));
  const done = known.filter((each) => each?.state === "completed").length;
  if (done === total) return { words: `needs ${total}, all done`, isOver: true };
  return { words: known.every(Boolean) ? `needs ${total - done} more` : `needs ${total}`, isOver: false };
}
