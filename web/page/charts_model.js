// Charts as values: the server's answer in the columns that a chart takes. Pure.

/** Days, and for each name its number of every day. Days without anything are there, too. */
export function days(rows, names) {
  return [rows.map(secondsOf), ...names.map((name) => rows.map((row) => row[name] ?? 0))];
}

/** For a cumulative flow: each state on top of those after it, so the last state is at the bottom. */
export function cumulative(rows, states) {
  const layers = states.map(() => []);
  for (const row of rows) {
    let height = 0;
    for (let index = states.length - 1; index >= 0; index -= 1) {
      height += row.open?.[states[index]] ?? 0;
      layers[index].push(height);
    }
  }
  // The highest is painted first, so that the lower ones lie in front of it.
  return [rows.map(secondsOf), ...layers];
}

/** A dot for each finished task: when, and its lead time. */
export function scatter(finished) {
  const known = finished.filter((each) => each.lead_ms > 0);
  return [known.map((each) => Date.parse(each.time) / 1000), known.map((each) => each.lead_ms)];
}

/** The percentiles of an answer as people call them, with their milliseconds. */
export function percentiles({ p50, p85, p95 }) {
  return [["median", p50], ["85 %", p85], ["95 %", p95]];
}

function secondsOf(row) {
  return Date.parse(`${row.day}T00:00:00Z`) / 1000;
}
