// Actions: a command on a task, with what it needs and why; a conflict is explained and shows both sides.

import { command, commandId, get } from "./api.js";
import { Dialog } from "./dialog.js";
import { go } from "./router.js";
import { html, useRef, useState } from "./view.js";
import { bodyOf, CREATE, verbsOf } from "./verbs.js";
import { isAsking } from "./board_model.js";
import { brief, COUNTERS, fieldWord, PRIORITY_WORDS, valueWord } from "./words.js";

const CONFLICT = 409;

/** The buttons of what can be done with a task, and the dialog of the one that was chosen. */
export function Actions({ task, agents, onDone }) {
  const [verb, setVerb] = useState(null);
  const verbs = verbsOf(task, isAsking(task));
  const main = verbs.find((each) => !each.isOff);
  return html`<div class="actions" role="group" aria-label="What can be done">
    ${verbs.map((each) => html`<button key=${each.name} class=${each === main ? "is-main" : ""} disabled=${each.isOff} data-verb=${each.name} onClick=${() => setVerb(each)}>${each.label}</button>`)}
    ${verb && html`<${CommandDialog} ...${{ verb, task, agents, onDone }} onClose=${() => setVerb(null)} />`}
  </div>`;
}

export function CreateDialog({ agents, onClose }) {
  const done = (receipt) => {
    onClose();
    go({ page: "task", task: receipt.task.id, at: null });
  };
  return html`<${CommandDialog} verb=${CREATE} agents=${agents} onDone=${done} onClose=${onClose} />`;
}

function CommandDialog({ verb, task, agents, onDone, onClose }) {
  const [problem, setProblem] = useState(null);
  const [isSending, setSending] = useState(false);
  const [base, setBase] = useState(task);
  const [values, setValues] = useState({});
  const key = useRef(null);
  const set = (name, value) => {
    key.current = null; // Another text is another command.
    setValues((now) => ({ ...now, [name]: value }));
  };
  const send = async (event) => {
    event.preventDefault();
    setSending(true);
    key.current ??= commandId();
    try {
      const path = task ? `/tasks/${task.id}/${verb.name}` : "/tasks";
      const receipt = await command(path, bodyOf(verb, values, task), { version: base?.version, key: key.current });
      onClose();
      onDone(receipt);
    } catch (refused) {
      setProblem(await explained(refused, task));
      setSending(false);
    }
  };
  const title = task ? `${verb.label}: ${brief(task.title, 60)}` : "New task";
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="command" onSubmit=${send}>
      ${verb.name === "answer" && html`<blockquote class="question">${valueWord(task.question)}</blockquote>`}
      ${verb.fields.map((field, index) => html`<${Field} ...${{ field, agents, task }} value=${values[field.name] ?? ""} isFirst=${index === 0} onChange=${(value) => set(field.name, value)} />`)}
      ${problem && html`<${Refusal} problem=${problem} base=${base} onTake=${() => {
        setBase(problem.now);
        setProblem(null);
        key.current = null;
      }} />`}
      <div class="dialog-foot">
        <button type="button" onClick=${onClose}>Not now</button>
        <button type="submit" class="is-main" disabled=${isSending}>${verb.label}</button>
      </div>
    </form>
  <//>`;
}

function Field({ field, value, agents, task, isFirst, onChange }) {
  const id = `field-${field.name}`;
  const common = { id, value, required: field.isNeeded, autofocus: isFirst, onInput: (event) => onChange(event.target.value), "aria-describedby": field.hint ? `${id}-hint` : undefined };
  const choices = field.kind === "answer" ? (task.choices ?? []) : [];
  return html`<div class="field">
    <label for=${id}>${field.label}${!field.isNeeded && html` <span class="muted">(optional)</span>`}</label>
    ${choices.length > 0 && html`<div class="choices" role="group" aria-label="Answers to choose from">${choices.map((each) => html`<button type="button" aria-pressed=${value === each} onClick=${() => onChange(each)}>${valueWord(each)}</button>`)}</div>`}
    ${input(field, common, agents)}
    ${field.hint && html`<p class="hint" id=${`${id}-hint`}>${field.hint}</p>`}
  </div>`;
}

function input(field, common, agents) {
  if (field.kind === "priority") {
    return html`<select ...${common}><option value="">P2 Normal, the usual</option>${PRIORITY_WORDS.map((word, number) => html`<option value=${number}>P${number} ${word}</option>`)}</select>`;
  }
  if (field.kind === "agent") {
    return html`<input type="text" maxlength="128" list="agents" autocomplete="off" ...${common} /><datalist id="agents">${agents.map((each) => html`<option value=${each}></option>`)}</datalist>`;
  }
  if (field.kind === "long" || field.kind === "answer") return html`<textarea rows=${field.isNeeded ? 4 : 2} ...${common}></textarea>`;
  return html`<input type="text" ...${common} />`;
}

function Refusal({ problem, base, onTake }) {
  const both = problem.now && base ? differences(base, problem.now) : [];
  return html`<div class="refusal" role="alert">
    <p><b>${problem.title}.</b> ${problem.message}</p>
    ${problem.status === CONFLICT && problem.now && html`
      <p>Nothing was written. You decided on version ${base.version}; the task is at version ${problem.now.version} now.</p>
      ${both.length > 0 && html`<table class="both"><thead><tr><th scope="col">Field</th><th scope="col">As you saw it</th><th scope="col">As it is now</th></tr></thead>
        <tbody>${both.map(([name, was, is]) => html`<tr><th scope="row">${fieldWord(name)}</th><td>${brief(valueWord(was), 200)}</td><td>${brief(valueWord(is), 200)}</td></tr>`)}</tbody></table>`}
      <button type="button" onClick=${onTake}>Go on from the task as it is now</button>`}
  </div>`;
}

/** A refusal, and after a conflict the task as it is now. */
async function explained(refused, task) {
  const found = { title: refused.title ?? "It did not work", message: refused.message, status: refused.status, now: null };
  if (refused.status !== CONFLICT || !task) return found;
  const given = refused.facts.task;
  const now = given && typeof given === "object" ? given : (await get(`/tasks/${task.id}`).catch(() => null))?.task;
  return { ...found, now: now ?? null };
}

function differences(was, is) {
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((name) => !COUNTERS.has(name));
  return names.filter((name) => JSON.stringify(was[name] ?? null) !== JSON.stringify(is[name] ?? null)).map((name) => [name, was[name], is[name]]);
}
