// A task's page: its text, its fields and who set them, what happened, and what it is tied to.

import { get } from "./api.js";
import { Actions } from "./actions.js";
import { isAsking, priorityOf } from "./board_model.js";
import { Priority, Tags } from "./card.js";
import { Loading, ProblemNote, useAnswer, Waiting } from "./loading.js";
import { Markdown } from "./markdown.js";
import { LIVE } from "./place.js";
import { adjust, follow, go, place } from "./router.js";
import { Timeline } from "./history.js";
import { html, useMemo, useState, useValue } from "./view.js";
import { brief, count, fieldWord, PRIORITY_WORDS, STATE_WORDS, valueWord, visible, when } from "./words.js";

const LINK_WORDS = {
  needs: "Needs",
  needed_by: "Needed by",
  relates: "Relates to",
  related_by: "Related by",
  duplicates: "Duplicates",
  duplicated_by: "Duplicated by",
  discovered_from: "Discovered from",
  led_to: "Led to",
};

export function Page({ session, board }) {
  const here = useValue(place);
  const town = useValue(session.town);
  const [changes, setChanges] = useState(0);
  // At a past moment the answer never changes; live, each event may be one of this task.
  const version = here.at ?? board?.number;
  const at = [["at", here.at]];
  const path = `/tasks/${encodeURIComponent(here.task ?? "")}`;
  const shown = useAnswer((signal) => get(path, at, { signal }), [here.task, version, changes]);
  const history = useAnswer((signal) => get(`${path}/history`, at, { signal }), [here.task, version, changes]);
  const blame = useAnswer((signal) => get(`${path}/blame`, at, { signal }), [here.task, version, changes]);
  if (!shown.answer) return shown.problem ? html`<${NotThere} problem=${shown.problem} />` : html`<${Loading} />`;
  const { task } = shown.answer;
  if (task.id !== here.task && !task.id.startsWith(here.task) && task.alias !== here.task) return html`<${Loading} />`;
  return html`<article class="task" aria-labelledby="task-title">
    <header class="task-head">
      <p class="crumbs"><a ...${follow({ page: "board", task: null })}>Board</a>${task.parent_id && html` <span aria-hidden="true">›</span> <a ...${follow({ task: task.parent_id })}>Parent</a>`} <span class="muted"><code>${task.alias ? brief(task.alias, 60) : task.id.slice(0, 8)}</code></span></p>
      <h1 id="task-title"><bdi>${brief(task.title, 500) || "(no title)"}</bdi></h1>
      <p class="task-facts">
        <span class="state" data-state=${task.state}>${STATE_WORDS[task.state]}</span>
        <${Priority} card=${task} />
        ${task.assigned_to && html`<span class="agent"><bdi>${brief(task.assigned_to, 60)}</bdi></span>`}
        <${Tags} tags=${task.tags} all />
      </p>
      ${town?.may_write && here.at === LIVE && html`<${Actions} task=${task} agents=${Object.keys(town.agents ?? {})} onDone=${() => setChanges((now) => now + 1)} />`}
    </header>
    <div class="task-main">
      <${Question} task=${task} />
      <${Body} task=${task} />
      ${task.result && html`<section><h2>${task.state === "failed" ? "Error" : "Result"}</h2><${Markdown} text=${task.result} /></section>`}
      <${Notes} notes=${shown.answer.notes} />
      <${Children} children_=${shown.answer.children} task=${task} />
      ${here.at === LIVE && html`<${Output} path=${path} version=${version} />`}
      <section><h2>History</h2>
        ${history.answer ? html`<${Timeline} events=${history.answer.events} onMoment=${(number) => adjust({ at: number })} current=${version} />` : html`<${Waiting} problem=${history.problem} />`}
      </section>
    </div>
    <aside class="task-side" aria-label="Fields and links">
      <${Fields} task=${task} blame=${blame.answer} />
      <${Links} links=${shown.answer.links ?? {}} />
    </aside>
  </article>`;
}

function NotThere({ problem }) {
  return html`<div class="empty"><${ProblemNote} problem=${problem} /><p><a ...${follow({ page: "board", task: null })}>To the board</a></p></div>`;
}

function Body({ task }) {
  const rest = useMemo(() => bodyOf(task.description ?? ""), [task.description]);
  return rest ? html`<section aria-label="Text"><${Markdown} text=${rest} /></section>` : null;
}

/** What comes after the title, which is the first line that has something on it. */
function bodyOf(description) {
  const lines = description.split("\n");
  const first = lines.findIndex((line) => line.trim() !== "");
  return lines.slice(first + 1).join("\n").trim();
}

function Question({ task }) {
  if (!task.question) return null;
  return html`<section class=${`question-box${isAsking(task) ? " is-open" : ""}`}><h2>${isAsking(task) ? "It waits for an answer" : "Question"}</h2>
    <p>${visible(task.question)}</p>
    ${task.choices?.length > 0 && html`<p class="muted">Choices: ${task.choices.map((each) => brief(each, 60)).join(", ")}</p>`}
    ${task.answer && html`<p><b>Answer:</b> ${visible(task.answer)}</p>`}
  </section>`;
}

function Notes({ notes }) {
  if (!notes?.notes.length) return null;
  return html`<section><h2>Notes</h2><ul class="notes">
    ${notes.notes.map((note) => html`<li><p class="muted"><bdi>${brief(note.actor, 60)}</bdi>, <time datetime=${note.time}>${when(note.time)}</time></p><${Markdown} text=${note.text} /></li>`)}
  </ul></section>`;
}

/** The end of what its last run printed. It is of now, so the past does not show it. */
function Output({ path, version }) {
  const output = useAnswer((signal) => get(`${path}/output`, [], { signal }), [path, version]).answer?.output;
  return output ? html`<section><h2>${output.is_whole ? "Output" : "End of the output"}</h2>
    <p class="muted">of the last run, at <time datetime=${output.time}>${when(output.time)}</time></p>
    <pre class="output" tabindex="0">${visible(output.text)}</pre></section>` : null;
}

function Children({ children_: children, task }) {
  if (!children?.total) return null;
  const below = { ...place.now.filters, parent: task.id };
  return html`<section><h2>Children <span class="total">${count(children.total)}</span></h2>
    ${children.states && html`<p class="muted">${Object.entries(children.states).filter(([, number]) => number).map(([state, number]) => `${number} ${state}`).join(", ")}</p>`}
    <ul class="task-list">${children.tasks.map((each) => html`<${TaskLink} id=${each.id} task=${each} />`)}</ul>
    <p><a ...${follow({ page: "board", task: null, filters: below })}>As a board</a></p>
  </section>`;
}

function Links({ links }) {
  return Object.entries(LINK_WORDS).map(([kind, words]) => {
    const found = links[kind];
    return found?.total > 0 && html`<section><h2>${words} <span class="total">${count(found.total)}</span></h2>
      <ul class="task-list">${found.tasks.map(({ id, task }) => html`<${TaskLink} id=${id} task=${task} />`)}</ul></section>`;
  });
}

export function TaskLink({ id, task, more }) {
  if (!task) return html`<li><span class="muted"><code>${id.slice(0, 8)}</code> removed</span></li>`;
  return html`<li><a class="task-link" ...${follow({ page: "task", task: id })}><span class="dot" data-state=${task.state} aria-hidden="true"></span><span class="only-read">${STATE_WORDS[task.state]}: </span><bdi>${brief(task.title, 120) || "(no title)"}</bdi></a>${more}</li>`;
}

const FIELDS = ["state", "assigned_to", "priority", "due", "not_before", "created_at", "started_at", "completed_at", "updated_at", "alias", "tags", "version", "id"];

function Fields({ task, blame }) {
  const set = useMemo(() => blamed(blame), [blame]);
  const rows = FIELDS.filter((name) => name === "priority" || (task[name] ?? null) !== null && String(task[name]) !== "");
  return html`<section><h2>Fields</h2><dl class="fields">
    ${rows.map((name) => html`<${FieldRow} key=${name} name=${name} task=${task} event=${set.get(name)} />`)}
  </dl></section>`;
}

function FieldRow({ name, task, event }) {
  const tip = `blame-${name}`;
  return html`<div class="field-row">
    <dt>${fieldWord(name)}</dt>
    <dd>${event
      ? html`<button type="button" class="blamed" aria-describedby=${tip} onClick=${() => go({ at: event.number })}>${shownValue(name, task)}</button>
          <span class="blame" role="tooltip" id=${tip}>Set by <bdi>${brief(event.actor, 60)}</bdi>, ${when(event.time)}, event ${count(event.number)}${event.reason ? html`: ${brief(event.reason, 200)}` : ""}</span>`
      : html`<span>${shownValue(name, task)}</span>`}</dd>
  </div>`;
}

function shownValue(name, task) {
  if (name === "state") return STATE_WORDS[task.state];
  if (name === "priority") return `P${priorityOf(task)} ${PRIORITY_WORDS[priorityOf(task)]}`;
  if (name.endsWith("_at") || name === "due" || name === "not_before") return when(task[name]);
  return valueWord(task[name]);
}

/** Field -> the event that set it. */
function blamed(blame) {
  if (!blame) return new Map();
  const events = new Map(blame.events.map((event) => [event.position, event]));
  return new Map(blame.fields.map(({ field, position }) => [field, events.get(position)]));
}
