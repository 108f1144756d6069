// Who works on what: each agent's open tasks, running ones first, and the runs whose runner is lost.

import { get } from "./api.js";
import { useAnswer, Waiting } from "./loading.js";
import { follow, place } from "./router.js";
import { TaskLink } from "./task_page.js";
import { html, useValue } from "./view.js";
import { age, brief, count } from "./words.js";

const TASKS_SHOWN = 8;

export function Page({ board, now }) {
  const here = useValue(place);
  const { answer, problem } = useAnswer((signal) => get("/agents", [["at", here.at]], { signal }), [here.at ?? board?.number]);
  if (!answer) return html`<${Waiting} problem=${problem} />`;
  const lost = new Map((answer.lost?.tasks ?? []).map((each) => [each.task.id, each]));
  return html`<section class="agents" aria-labelledby="agents-head">
    <h1 id="agents-head">Who works on what</h1>
    ${lost.size > 0 && html`<p class="problem" role="status"><b>${count(lost.size)} lost</b> <span>Their runner gives no sign of life. Requeue them, or use tt reclaim.</span></p>`}
    <ul class="agent-cards">${answer.agents.map((each) => html`<${AgentCard} key=${String(each.agent)} ...${{ each, lost, now }} />`)}</ul>
    ${answer.agents.length === 0 && html`<p class="empty">Nobody has an open task.</p>`}
  </section>`;
}

function AgentCard({ each, lost, now }) {
  const name = each.agent === null ? "Backlog" : brief(each.agent, 60);
  const running = each.tasks.filter((task) => task.state === "running").length;
  const shown = each.tasks.slice(0, TASKS_SHOWN);
  const filters = { ...place.now.filters, agent: each.agent ?? "" };
  return html`<li class="agent-card" data-agent=${each.agent ?? ""}>
    <h2><a ...${follow({ page: "board", filters })}><bdi>${name}</bdi></a> <span class="total">${count(each.total)} open</span></h2>
    ${each.agent !== null && html`<p class=${running ? "working" : "muted"}>${running ? `At work on ${count(running)}` : "Nothing is running"}</p>`}
    <ul class="task-list">${shown.map((task) => html`<${TaskLink} id=${task.id} task=${task} more=${more(task, lost, now)} />`)}</ul>
    ${each.total > shown.length && html`<p class="muted">and ${count(each.total - shown.length)} more</p>`}
  </li>`;
}

function more(task, lost, now) {
  if (lost.has(task.id)) return html` <span class="badge is-bad">lost</span>`;
  return task.state === "running" && task.started_at ? html` <span class="muted">for ${age(task.started_at, now)}</span>` : null;
}
