// Filters: what the board or the list shows of the town; all of them stand in the address.

import { STATES } from "./board_model.js";
import { GROUPS, hasFilters, NO_FILTERS } from "./place.js";
import { adjust, go, place } from "./router.js";
import { html, useEffect, useRef, useState, useValue } from "./view.js";
import { brief, PRIORITY_WORDS, STATE_WORDS } from "./words.js";

const TYPING_MS = 200;

export function filter(change) {
  go({ filters: { ...place.now.filters, ...change } });
}

export function FilterBar({ session }) {
  const here = useValue(place);
  const town = useValue(session.town);
  const { filters } = here;
  const agents = Object.keys(town?.agents ?? {}).filter(Boolean).sort();
  return html`<form class="filter-bar" role="search" onSubmit=${(event) => event.preventDefault()}>
    ${here.page === "board" && html`<${Choice} label="Columns" value=${here.by} options=${GROUPS.map((each) => [each, `By ${each}`])} onChange=${(by) => go({ by })} />`}
    <${SearchBox} words=${filters.q} />
    ${here.page === "list" && html`<${Choice} label="State" value=${filters.state[0] ?? ""} options=${[["", "Any state"], ...STATES.map((each) => [each, STATE_WORDS[each]])]} onChange=${(state) => filter({ state: state ? [state] : [] })} />`}
    <${Choice} label="Agent" value=${filters.agent} options=${[["", "Any agent"], ...agents.map((each) => [each, brief(each, 40)])]} onChange=${(agent) => filter({ agent })} />
    <${Choice} label="Priority" value=${filters.priority[0] ?? ""} options=${[["", "Any priority"], ...PRIORITY_WORDS.map((word, number) => [String(number), `P${number} ${word}`])]} onChange=${(priority) => filter({ priority: priority ? [priority] : [] })} />
    <${TagBox} tags=${filters.tag} />
    <label class="check"><input type="checkbox" checked=${filters.overdue} onChange=${(event) => filter({ overdue: event.target.checked })} /> Late</label>
    ${filters.parent && html`<${Chip} onClick=${() => filter({ parent: "" })}>below ${brief(filters.parent, 12)}<//>`}
    ${hasFilters(filters) && html`<button type="button" class="link" onClick=${() => go({ filters: NO_FILTERS })}>Clear</button>`}
  </form>`;
}

function Choice({ label, value, options, onChange }) {
  return html`<label><span class="only-read">${label}</span>
    <select class=${value && value !== "state" ? "is-set" : ""} value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([each, words]) => html`<option value=${each} selected=${each === value}>${words}</option>`)}
    </select>
  </label>`;
}

/** A filter that is set, and taken away by a click. */
function Chip({ onClick, children }) {
  return html`<button type="button" class="chip" onClick=${onClick}>${children} <span aria-hidden="true">×</span><span class="only-read">, remove this filter</span></button>`;
}

function SearchBox({ words }) {
  const [typed, setTyped] = useState(words);
  const timer = useRef(0);
  useEffect(() => setTyped(words), [words]);
  const type = (event) => {
    const q = event.target.value;
    setTyped(q);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => adjust({ filters: { ...place.now.filters, q: q.trim() } }), TYPING_MS);
  };
  return html`<label class="search"><span class="only-read">Search</span><input id="search" type="search" placeholder="Search ( / )" value=${typed} onInput=${type} /></label>`;
}

function TagBox({ tags }) {
  const add = (event) => {
    const tag = event.target.value.trim();
    if (tag && !tags.includes(tag)) filter({ tag: [...tags, tag] });
    event.target.value = "";
  };
  return html`<label class="tag-box"><span class="only-read">Tag</span><input type="text" placeholder="Tag" maxlength="64" onChange=${add} /></label>
    ${tags.map((tag) => html`<${Chip} onClick=${() => filter({ tag: tags.filter((each) => each !== tag) })}><bdi>${brief(tag, 30)}</bdi><//>`)}`;
}
