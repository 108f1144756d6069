// The inbox: what waits for a person.

import { get } from "./api.js";
import { useAnswer, Waiting } from "./loading.js";
import { place } from "./router.js";
import { TaskLink } from "./task_page.js";
import { html, useValue } from "./view.js";
import { brief, count, when } from "./words.js";

export function Page({ board }) {
  const here = useValue(place);
  const { answer, problem } = useAnswer((signal) => get("/inbox", [["at", here.at]], { signal }), [here.at ?? board?.number]);
  if (!answer) return html`<${Waiting} problem=${problem} />`;
  const lost = answer.lost?.tasks ?? [];
  return html`<section class="inbox" aria-labelledby="inbox-head">
    <h1 id="inbox-head">What waits for a person</h1>
    ${answer.total === 0 && lost.length === 0 && html`<p class="empty">Nothing waits.</p>`}
    <${Kind} title="Questions" found=${answer.questions} rows=${answer.questions.tasks.map(({ task, asked }) => [task, html`<p class="said">${brief(task.question, 400)}</p><p class="muted">${asked ? html`asked by <bdi>${brief(asked.actor, 60)}</bdi>, ${when(asked.time)}` : ""}</p>`])} />
    <${Kind} title="Failed" found=${answer.failed} rows=${answer.failed.tasks.map((task) => [task, html`<p class="said">${brief(task.result, 400)}</p>`])} />
    <${Kind} title="To review" found=${answer.reviews} rows=${answer.reviews.tasks.map((task) => [task, null])} />
    <${Kind} title="Lost" found=${{ total: lost.length }} rows=${lost.map(({ task, agent }) => [task, html`<p class="muted">The runner of ${brief(agent, 60)} gives no sign of life.</p>`])} />
  </section>`;
}

function Kind({ title, found, rows }) {
  if (!found.total) return null;
  return html`<section><h2>${title} <span class="total">${count(found.total)}</span></h2>
    <ul class="task-list is-spacious">${rows.map(([task, more]) => html`<${TaskLink} id=${task.id} task=${task} more=${more} />`)}</ul></section>`;
}
