// Keys: what a single key does, where nothing is being typed.

export const KEYS = [
  ["l", "Back to live"],
  ["p", "Play, or pause"],
  [",", "One event back"],
  [".", "One event forward"],
  ["/", "Search"],
  ["n", "New task"],
  ["b", "Board"],
  ["i", "Inbox"],
  ["?", "This help"],
];

const TYPING = "input, textarea, select, [contenteditable]";

/** Calls what `actions` has for a key; the answer ends that. */
export function listenForKeys(actions) {
  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}
