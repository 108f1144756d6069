// Place: what the page shows, as it stands in the address: the page, the moment, the columns and the filters. Pure.
// So a link shows somebody else the same board. A moment is an event's number; without one the place is live.

export const PAGES = ["board", "list", "inbox", "agents", "charts", "diff", "task"];
export const GROUPS = ["state", "agent", "parent", "priority"];
export const LIVE = null;

const LISTS = ["state", "tag", "not_tag", "priority"];
const WORDS = ["q", "agent", "parent"];

export const NO_FILTERS = Object.freeze({ state: [], tag: [], not_tag: [], priority: [], q: "", agent: "", parent: "", overdue: false });

/** The place that a query names. What it does not know it leaves out, so every address shows something. */
export function readPlace(query) {
  const given = new URLSearchParams(query);
  const filters = { ...NO_FILTERS, overdue: given.get("overdue") === "true" };
  for (const name of LISTS) filters[name] = given.getAll(name);
  for (const name of WORDS) filters[name] = given.get(name) ?? "";
  return {
    town: given.get("town"),
    page: known(given.get("page"), PAGES),
    by: known(given.get("by"), GROUPS),
    at: readMoment(given.get("at")),
    task: given.get("task"),
    from: given.get("from"),
    to: given.get("to"),
    sort: given.get("sort"),
    filters,
  };
}

/** The query of a place; what is usual is left out. */
export function writePlace(place) {
  const query = new URLSearchParams();
  if (place.town) query.set("town", place.town);
  if (place.page !== "board") query.set("page", place.page);
  if (place.by !== "state") query.set("by", place.by);
  for (const name of ["task", "from", "to", "sort"]) if (place[name]) query.set(name, place[name]);
  for (const [name, value] of filterPairs(place.filters)) query.append(name, value);
  if (place.at !== LIVE) query.set("at", String(place.at));
  const text = query.toString();
  return text ? `?${text}` : "";
}

/** The filters as parameters of a request: pairs of name and value. */
export function filterPairs(filters) {
  const pairs = LISTS.flatMap((name) => filters[name].map((value) => [name, value]));
  pairs.push(...WORDS.filter((name) => filters[name]).map((name) => [name, filters[name]]));
  return filters.overdue ? [...pairs, ["overdue", "true"]] : pairs;
}

export function hasFilters(filters) {
  return filterPairs(filters).length > 0;
}

function readMoment(text) {
  return /^[1-9][0-9]{0,14}$/.test(text ?? "") ? Number(text) : LIVE;
}

function known(value, values) {
  return values.includes(value) ? value : values[0];
}
