// Router: keeps the place and the address bar together.

import { readPlace, writePlace } from "./place.js";
import { Value } from "./value.js";

/** Browsers refuse more than about three changes of the address a second; a drag would make hundreds. */
const ADDRESS_MS = 250;

export const place = new Value(readPlace(location.search));
let writing = 0;

/** Go to a place: what `change` does not name stays. It becomes a step of the browser's way back. */
export function go(change) {
  const next = { ...place.now, ...change };
  flush();
  if (writePlace(next) !== location.search) history.pushState(null, "", href(next));
  place.set(next);
}

/** Change the place where it is: for what is dragged or played. The address follows a little later. */
export function adjust(change) {
  place.set({ ...place.now, ...change });
  if (writing === 0) writing = setTimeout(flush, ADDRESS_MS);
}

export function href(change) {
  return location.pathname + writePlace({ ...place.now, ...change });
}

/** What a link does on a plain click: the place changes, and nothing is loaded again. */
export function follow(change) {
  return {
    href: href(change),
    onClick: (event) => {
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      go(change);
      scrollTo(0, 0);
    },
  };
}

function flush() {
  clearTimeout(writing);
  writing = 0;
  if (writePlace(place.now) !== location.search) history.replaceState(null, "", href({}));
}

addEventListener("popstate", () => place.set(readPlace(location.search)));
