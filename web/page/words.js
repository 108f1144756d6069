// Words: values as people read them. Pure.

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]];
const MINUTE = 60_000;
// What a reader cannot see and what turns the order of letters; a terminal's escapes begin with one of them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export const STATE_WORDS = {
  pending: "Pending",
  assigned: "Assigned",
  running: "Running",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};
/** Fields that every event changes: who compares two tasks wants to see others. */
export const COUNTERS = new Set(["version", "position", "updated_at", "created_number"]);
export const PRIORITY_WORDS = ["Highest", "High", "Normal", "Low", "Lowest"];

/** The text with its unseen characters written out, as `tt` does. */
export function visible(text) {
  return String(text ?? "").replace(UNSEEN, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The beginning of a text on one line. */
export function brief(text, length = 300) {
  const line = visible(text).replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}

/** A span of time in its largest unit: 3 d, 5 h, 12 min, 40 s. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  const [unit, size] = UNITS.find(([, each]) => Math.abs(ms) >= each) ?? UNITS.at(-1);
  const count = ms / size;
  return `${Math.abs(count) < 10 && unit !== "s" && unit !== "min" ? trimmed(count) : Math.round(count)} ${unit}`;
}

/** How long ago a time was, seen from another one. */
export function age(time, now) {
  const ms = now - Date.parse(time);
  return ms < MINUTE ? "now" : span(ms);
}

/** A time in the reader's own zone. */
export function when(time, { seconds = true } = {}) {
  const date = new Date(time);
  if (Number.isNaN(date.valueOf())) return "–";
  const two = (value) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

export function count(number) {
  return Number(number ?? 0).toLocaleString("en-GB");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** An event's type as words: `task.completed` is "completed". */
export function eventWord(type) {
  return type.replace(/^task\./, "").replace(/[._]/g, " ");
}

/** A field's name as words. */
export function fieldWord(name) {
  const words = name.replace(/_id$/, "").replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value of any field as text. */
export function valueWord(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value)) return value.length ? value.map(valueWord).join(", ") : "–";
  if (typeof value === "object") return JSON.stringify(value);
  return visible(value);
}

function trimmed(number) {
  return number.toFixed(1).replace(/\.0$/, "");
}
