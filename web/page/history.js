// A task's history: each event with who, when and why, and the fields before and after it.

import { html } from "./view.js";
import { brief, count, COUNTERS, eventWord, fieldWord, valueWord, when } from "./words.js";

const VALUE_CHARS = 400;

export function Timeline({ events, onMoment, current }) {
  return html`<ol class="history" reversed>
    ${[...events].reverse().map((event) => html`<li key=${event.position} class=${event.number === current ? "is-current" : ""}>
      <div class="event-head">
        <b class="event-type" data-type=${event.type}>${eventWord(event.type)}</b>
        <span class="muted">by <bdi>${brief(event.actor, 60)}</bdi></span>
        <button class="link" title="Show the town as it was then" onClick=${() => onMoment(event.number)}><time datetime=${event.time}>${when(event.time)}</time> · event ${count(event.number)}</button>
      </div>
      ${event.reason && html`<p class="reason">“<bdi>${brief(event.reason, 600)}</bdi>”</p>`}
      ${event.data?.text && html`<p class="said">${brief(event.data.text, 600)}</p>`}
      ${event.flaw && html`<p class="badge is-bad">${brief(event.flaw)}</p>`}
      <${Changes} changes=${event.changes ?? []} />
    </li>`)}
  </ol>`;
}

/** Fields with their value before and after. */
export function Changes({ changes }) {
  const shown = changes.filter(({ field }) => !COUNTERS.has(field));
  if (shown.length === 0) return null;
  return html`<dl class="changes">
    ${shown.map(({ field, before, after }) => html`<div key=${field}>
      <dt>${fieldWord(field)}</dt>
      <dd>${isThere(before) && html`<del><span class="only-read">before: </span>${brief(valueWord(before), VALUE_CHARS)}</del> `}<ins><span class="only-read">after: </span>${brief(valueWord(after), VALUE_CHARS)}</ins></dd>
    </div>`)}
  </dl>`;
}

function isThere(value) {
  return value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);
}
