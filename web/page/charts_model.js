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

/** The percentiles of an answer in their order: name and milliseconds. */
export function percentiles(figures) {
  if (!figures) return [];
  const number = (name) => (name === "median_ms" ? 50 : Number(/^p(\d+)/.exec(name)?.[1] ?? Number.NaN));
  return Object.entries(figures)
    .filter(([name, value]) => typeof value === "number" && !Number.isNaN(number(name)))
    .sort(([a], [b]) => number(a) - number(b))
    .filter(([name], index, all) => index === 0 || number(name) !== number(all[index - 1][0]))
    .map(([name, value]) => [number(name) === 50 ? "median" : `${number(name)} %`, value]);
}

function secondsOf(row) {
  return Date.parse(`${row.day}T00:00:00Z`) / 1000;
}
