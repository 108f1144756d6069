// The theme: light or dark as the system says, or as the reader chose.

import { Value } from "./value.js";

const KEY = "tinytown.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = new Value(chosen() ?? (dark.matches ? "dark" : "light"));

export function switchTheme() {
  const next = theme.now === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, next);
  theme.set(next);
}

/** A design token as the theme has it now, for what is painted and not styled. */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function chosen() {
  const kept = localStorage.getItem(KEY);
  return kept === "dark" || kept === "light" ? kept : null;
}

function show(name) {
  document.documentElement.dataset.theme = name;
}

dark.addEventListener("change", () => chosen() ?? theme.set(dark.matches ? "dark" : "light"));
theme.subscribe(show);
show(theme.now);
