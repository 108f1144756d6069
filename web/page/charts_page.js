// Charts: how much is done, how long it takes, and how work piles up.

import { get } from "./api.js";
import { STATES } from "./board_model.js";
import { cumulative, days, percentiles, scatter } from "./charts_model.js";
import { useAnswer, Waiting } from "./loading.js";
import { theme, token } from "./theme.js";
import { html, useEffect, useRef, useState, useValue } from "./view.js";
import { count, plural, span, STATE_WORDS, when } from "./words.js";

const HEIGHT = 240;
/** In seconds: what the first and the last day's bars need beside them. */
const HALF_DAY = 43_200;
/** In milliseconds: the lines of a logarithmic scale. */
const SPANS = [1e3, 1e4, 6e4, 6e5, 36e5, 864e5, 6048e5, 2592e6, 31536e6];
let loading = null;

/** uPlot is a script of its own, loaded when the first chart is shown. */
function loadChartLibrary() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "vendor/uPlot.iife.min.js";
    script.onload = () => resolve(globalThis.uPlot);
    script.onerror = () => reject(new Error("The charts’ library could not be loaded."));
    const sheet = document.createElement("link");
    Object.assign(sheet, { rel: "stylesheet", href: "vendor/uPlot.min.css" });
    document.head.append(sheet, script);
  });
  return loading;
}

export function Page({ board }) {
  const [since, setSince] = useState("");
  // Charts are of days; another event does not change them much.
  const { answer, problem } = useAnswer((signal) => get("/charts", [["since", since]], { signal }), [since, Math.floor((board?.number ?? 0) / 50)]);
  const library = useAnswer(loadChartLibrary, []);
  const look = useValue(theme);
  if (!answer || !library.answer) return html`<${Waiting} problem=${problem ?? library.problem} />`;
  const uPlot = library.answer;
  return html`<section class="charts" aria-labelledby="charts-head">
    <header class="list-head"><h1 id="charts-head">Charts</h1>
      <label>Period <select onChange=${(event) => setSince(event.target.value)}>${[["", "All"], ["7d", "7 days"], ["30d", "30 days"], ["90d", "90 days"]].map(([value, words]) => html`<option value=${value}>${words}</option>`)}</select></label></header>
    <${Figures} title="Lead time" hint="from creation, or reopening, to the end" figures=${answer.lead} />
    <${Figures} title="Cycle time" hint="from the last start to the end" figures=${answer.cycle} />
    ${answer.days.length === 0 ? html`<p class="empty">No event in this period.</p>` : html`<${Chart} key=${`t${look}`} ...${{ uPlot }} title="Throughput" words=${throughputWords(answer)} data=${days(answer.days, ["created", "completed", "failed"])} series=${[bars(uPlot, "Created", "--state-assigned"), bars(uPlot, "Completed", "--state-completed"), bars(uPlot, "Failed", "--state-failed")]} />
    <${Chart} key=${`c${look}`} ...${{ uPlot }} title="Cumulative flow" words="How many tasks were in each state at the end of each day." data=${cumulative(answer.days, STATES)} series=${STATES.map((state) => area(STATE_WORDS[state], `--state-${state}`))} />
    <${Chart} key=${`l${look}`} ...${{ uPlot }} title="Lead time of each finished task" words="Each dot is a task; higher took longer, on a logarithmic scale." data=${scatter(answer.finished)} series=${[dots("Lead time", "--accent")]} isDuration />`}
  </section>`;
}

function Figures({ title, hint, figures }) {
  return html`<section class="figures" aria-label=${title}><h2>${title}</h2><p class="muted">${hint}, ${plural(figures.count, "task")}</p>
    <dl>${percentiles(figures).map(([name, ms]) => html`<div><dt>${name}</dt><dd>${span(ms)}</dd></div>`)}</dl></section>`;
}

function throughputWords({ days: all }) {
  const sum = (name) => count(all.reduce((total, day) => total + (day[name] ?? 0), 0));
  return `In all ${sum("created")} created, ${sum("completed")} completed and ${sum("failed")} failed on ${plural(all.length, "day")}.`;
}

function Chart({ uPlot, title, words, data, series, isDuration }) {
  const place = useRef(null);
  useEffect(() => {
    const element = place.current;
    const chart = new uPlot(options(element.clientWidth, series, isDuration), data, element);
    const observer = new ResizeObserver(([entry]) => chart.setSize({ width: Math.floor(entry.contentRect.width), height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [data]);
  return html`<figure class="chart"><figcaption><h2>${title}</h2><p class="muted">${words}</p></figcaption><div ref=${place} role="img" aria-label=${`${title}. ${words}`}></div></figure>`;
}

function options(width, series, isDuration) {
  const line = { stroke: token("--muted"), grid: { stroke: token("--line"), width: 1 }, ticks: { stroke: token("--line"), width: 1 } };
  const values = isDuration ? { splits: (_, __, low, high) => SPANS.filter((ms) => ms >= low && ms <= high), filter: (_, ticks) => ticks, values: (_, ticks) => ticks.map(span), size: 64 } : { size: 56 };
  return {
    width,
    height: HEIGHT,
    legend: { live: false },
    cursor: { drag: { x: true, y: false }, points: { show: !isDuration } },
    scales: { x: { range: (_, first, last) => [first - HALF_DAY, last + HALF_DAY] }, y: isDuration ? { distr: 3 } : { range: (_, __, most) => [0, Math.max(most, 1)] } },
    axes: [{ ...line, values: (_, ticks) => ticks.map(dayOrTime) }, { ...line, ...values }],
    series: [{}, ...series],
  };
}

/** A tick of the time axis, in the words of the rest of the page. */
function dayOrTime(seconds) {
  const [day, time] = when(seconds * 1_000, { seconds: false }).split(" ");
  return time === "00:00" ? day.slice(5) : time;
}

function bars(uPlot, label, colour) {
  return { label, stroke: token(colour), fill: `${token(colour)}66`, width: 1.5, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } };
}

function area(label, colour) {
  return { label, stroke: token(colour), fill: `${token(colour)}aa`, width: 1, points: { show: false } };
}

function dots(label, colour) {
  return { label, stroke: token(colour), paths: () => null, points: { show: true, size: 4, fill: token(colour) } };
}
