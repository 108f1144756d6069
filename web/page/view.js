// The view library: preact, its hooks and htm, as the rest of the page uses them.
// The files in vendor/ are the packages' own, byte for byte. preact and its hooks put themselves on the global object,
// and the hooks find preact there only as a script: index.html has both.

import htm from "./vendor/htm.module.js";

export const { h, render } = globalThis.preact;
export const { useEffect, useLayoutEffect, useMemo, useRef, useState } = globalThis.preactHooks;

/** A template as elements. What stands in `${…}` is always text, never HTML. */
export const html = htm.bind(h);

/** A picture of index.html. */
export function Icon({ name }) {
  return html`<svg viewBox="0 0 16 16" aria-hidden="true"><use href=${`#${name}`} /></svg>`;
}

/** What a `Value` holds; the component is drawn again when it changes. */
export function useValue(value) {
  const [, redraw] = useState(0);
  useLayoutEffect(() => value.subscribe(() => redraw((count) => count + 1)), [value]);
  return value.now;
}
