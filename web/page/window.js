// A window on a long list: only the rows that can be seen are in the document.

import { useLayoutEffect, useState } from "./view.js";

const MARGIN_ROWS = 4;

/** Which rows of `total`, each `height` pixels, are to be drawn, for a scrolling element. */
export function useWindow(scroller, total, height) {
  const [seen, setSeen] = useState({ first: 0, last: 20 });
  useLayoutEffect(() => {
    const element = scroller.current;
    const look = () => {
      const next = rowsOf(element.scrollTop, element.clientHeight, height);
      setSeen((now) => (now.first === next.first && now.last === next.last ? now : next));
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, [height]);
  return { first: Math.min(seen.first, Math.max(total - 1, 0)), last: Math.min(seen.last, total) };
}

function rowsOf(top, shown, height) {
  return { first: Math.max(Math.floor(top / height) - MARGIN_ROWS, 0), last: Math.ceil((top + shown) / height) + MARGIN_ROWS };
}
