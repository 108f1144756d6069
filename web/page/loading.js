// Loading: an answer of the server in a component, asked again when what it depends on changes.

import { html, useEffect, useState } from "./view.js";

/** `ask(signal)` answers; `asks` are the values it depends on. The last answer stays until the next one is there. */
export function useAnswer(ask, asks) {
  const [found, setFound] = useState({ answer: null, problem: null, isLoading: true });
  useEffect(() => {
    const abort = new AbortController();
    setFound((now) => ({ ...now, isLoading: true }));
    ask(abort.signal).then(
      (answer) => setFound({ answer, problem: null, isLoading: false }),
      (problem) => abort.signal.aborted || setFound((now) => ({ ...now, problem, isLoading: false })),
    );
    return () => abort.abort();
  }, asks);
  return found;
}

export function ProblemNote({ problem }) {
  return html`<div class="problem" role="alert"><b>${problem.title ?? "It did not work"}</b> <span>${problem.message}</span></div>`;
}

export function Loading() {
  return html`<p class="empty" role="status">Loading…</p>`;
}

/** What stands there until there is an answer. */
export function Waiting({ problem }) {
  return problem ? html`<${ProblemNote} problem=${problem} />` : html`<${Loading} />`;
}

/** A component of a module that is loaded when it is first shown; it gets all other attributes. */
export function Lazy({ load, name, ...attributes }) {
  const { answer, problem } = useAnswer(load, []);
  if (!answer) return html`<${Waiting} problem=${problem} />`;
  return html`<${answer[name]} ...${attributes} />`;
}
