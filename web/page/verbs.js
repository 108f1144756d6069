// Verbs: what a reader who may write can do with a task: when, and what is asked for. Pure.

const STATES_OPEN = ["pending", "assigned", "running"];
const GIVEN = ["assigned", "running"];
const FINISHED = ["completed", "failed", "cancelled"];

const WHO = { name: "agent", label: "Who did it", kind: "agent", isNeeded: true };
const REASON = { name: "reason", label: "Why", kind: "long" };

export const VERBS = [
  { name: "answer", label: "Answer", states: STATES_OPEN, needsQuestion: true, fields: [{ name: "text", label: "Answer", kind: "answer", isNeeded: true }] },
  { name: "assign", label: "Assign", states: STATES_OPEN, fields: [{ name: "agent", label: "Agent", kind: "agent", isNeeded: true }, REASON] },
  { name: "start", label: "Start", states: ["assigned"], fields: [REASON] },
  { name: "complete", label: "Complete", states: STATES_OPEN, fields: [{ name: "result", label: "Result", kind: "long" }, REASON] },
  { name: "fail", label: "Fail", states: GIVEN, fields: [{ name: "error", label: "What went wrong", kind: "long", isNeeded: true }, REASON] },
  { name: "requeue", label: "Requeue", states: GIVEN, fields: [REASON] },
  { name: "reopen", label: "Reopen", states: FINISHED, fields: [REASON] },
  { name: "cancel", label: "Cancel", states: STATES_OPEN, fields: [REASON] },
  { name: "note", label: "Add a note", states: [...STATES_OPEN, ...FINISHED], fields: [{ name: "text", label: "Note", kind: "long", isNeeded: true }] },
];

export const CREATE = {
  name: "create",
  label: "Create",
  fields: [
    { name: "description", label: "What is to be done", hint: "The first line is the title; Markdown is shown.", kind: "long", isNeeded: true },
    { name: "agent", label: "Agent", kind: "agent" },
    { name: "tags", label: "Tags", hint: "With commas between them.", kind: "tags" },
    { name: "priority", label: "Priority", kind: "priority" },
    { name: "parent", label: "Parent", hint: "Id or alias.", kind: "line" },
    REASON,
  ],
};

/** Every verb, in its place; what cannot be done with the task as it is has `isOff`. A pending task is completed for an agent, who is asked for, too. */
export function verbsOf(task, isAsking) {
  return VERBS.map((verb) => ({
    ...verb,
    isOff: !verb.states.includes(task.state) || (verb.needsQuestion && !isAsking),
    fields: verb.name === "complete" && task.state === "pending" ? [WHO, ...verb.fields] : verb.fields,
  }));
}

/** The body of a request: fields that were left empty are left out. An answer in other words than offered says so. */
export function bodyOf(verb, values, task) {
  const pairs = verb.fields.map(({ name, kind }) => [name, converted(kind, (values[name] ?? "").trim())]);
  const body = Object.fromEntries(pairs.filter(([, value]) => value !== "" && value.length !== 0));
  const isOther = verb.name === "answer" && task?.choices?.length > 0 && !task.choices.includes(body.text);
  return isOther ? { ...body, is_other: true } : body;
}

function converted(kind, text) {
  if (kind === "tags") return text.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (kind === "priority") return text === "" ? "" : Number(text);
  return text;
}
