// The difference between the boards of two moments that the reader chose.

import { get } from "./api.js";
import { Changes } from "./history.js";
import { useAnswer, Waiting } from "./loading.js";
import { follow, go, place } from "./router.js";
import { html, useState, useValue } from "./view.js";
import { brief, count, plural, STATE_WORDS, when } from "./words.js";

const TASKS_SHOWN = 200;
const KIND_WORDS = { created: "Created", changed: "Changed", removed: "Removed" };

export function Page({ session }) {
  const here = useValue(place);
  const end = useValue(session.end);
  const from = here.from ?? String(Math.max(end - 100, 1));
  const to = here.to ?? "now";
  const { answer, problem } = useAnswer(async (signal) => end > 0 && get("/diff", [["from", from], ["to", to]], { signal }), [from, to, to === "now" ? end : end > 0]);
  return html`<section class="diff" aria-labelledby="diff-head">
    <h1 id="diff-head">What changed</h1>
    <${Moments} key=${`${from} ${to}`} from=${from} to=${to} at=${here.at} />
    ${end === 0 ? html`<p class="empty">No event yet.</p>` : answer && !problem ? html`<${Difference} answer=${answer} />` : html`<${Waiting} problem=${problem} />`}
  </section>`;
}

function Moments({ from, to, at }) {
  const [values, setValues] = useState({ from, to });
  const set = (name) => (event) => setValues((now) => ({ ...now, [name]: event.target.value }));
  const show = (event) => {
    event.preventDefault();
    go({ from: values.from.trim() || "1", to: values.to.trim() || "now" });
  };
  return html`<form class="moments" onSubmit=${show}>
    <label>From <input type="text" value=${values.from} onInput=${set("from")} aria-describedby="moments-hint" /></label>
    <label>To <input type="text" value=${values.to} onInput=${set("to")} aria-describedby="moments-hint" /></label>
    <button class="is-main">Compare</button>
    <button type="button" onClick=${() => go({ from: values.to, to: values.from })}>Swap</button>
    ${at !== null && html`<button type="button" onClick=${() => go({ from, to: String(at) })}>To the slider’s moment</button>`}
    <p class="hint" id="moments-hint">An event’s number, a time, or words such as 2h, yesterday, now.</p>
  </form>`;
}

function Difference({ answer }) {
  return html`
    <p class="summary"><b>${plural(answer.total, "task")}</b> ${answer.total === 1 ? "differs" : "differ"} after ${plural(answer.events, "event")}:
      ${" "}${count(answer.created)} created, ${count(answer.changed)} changed, ${count(answer.removed)} removed.
      <span class="muted"> ${when(answer.from.time)} → ${when(answer.to.time)}</span></p>
    <ul class="states-row">${Object.entries(answer.moved_to).filter(([, number]) => number > 0).map(([state, number]) => html`<li class="state" data-state=${state}>${count(number)} to ${STATE_WORDS[state].toLowerCase()}</li>`)}</ul>
    <ul class="differences">
      ${answer.tasks.slice(0, TASKS_SHOWN).map((each) => html`<${DifferentTask} key=${each.task} ...${{ each }} />`)}
    </ul>
    ${answer.tasks.length > TASKS_SHOWN && html`<p class="muted">The first ${TASKS_SHOWN} of ${count(answer.total)} are shown.</p>`}`;
}

function DifferentTask({ each }) {
  const task = each.after ?? each.before;
  return html`<li class="difference" data-kind=${each.kind} data-task=${each.task}>
    <div class="event-head"><b class="kind" data-kind=${each.kind}>${KIND_WORDS[each.kind]}</b>
      <a ...${follow({ page: "task", task: each.task })}><bdi>${brief(task?.title, 160) || "(no title)"}</bdi></a>
      ${each.states?.length > 1 && html`<span class="muted">${each.states.join(" → ")}</span>`}
      <span class="muted">${plural(each.events, "event")}</span></div>
    ${each.kind === "changed" && html`<${Changes} changes=${each.changes} />`}
  </li>`;
}
