// The slider: the town's life as a strip of how much happened when, with a handle for the moment that is shown.

import { theme, token } from "./theme.js";
import { bucketIndex, numberAt, shareOf } from "./timeline_model.js";
import { html, useEffect, useLayoutEffect, useRef, useState, useValue } from "./view.js";
import { count, plural, when } from "./words.js";

const PAGE_SHARE = 1 / 40;

export function Slider({ timeline, number, time, end, onMove }) {
  const strip = useRef(null);
  const canvas = useRef(null);
  const [hovered, setHovered] = useState(null);
  const look = useValue(theme);
  const width = useWidth(strip);
  useLayoutEffect(() => paint(canvas.current, timeline, width), [timeline, width, look]);
  const share = timeline ? shareOf(timeline, number) : 1;
  const handle = useRef(null);
  useLayoutEffect(() => {
    handle.current.style.left = `${share * 100}%`;
  }, [share]);
  const at = (event) => {
    const box = strip.current.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  };
  const move = (event) => onMove(at(event) >= 1 - 2 / width ? end : numberAt(timeline, at(event)));
  const isLive = number >= end;
  return html`<div
    class="strip"
    ref=${strip}
    role="slider"
    tabindex="0"
    aria-label="Moment"
    aria-valuemin="1"
    aria-valuemax=${Math.max(end, 1)}
    aria-valuenow=${Math.max(number, 1)}
    aria-valuetext=${`${isLive ? "Live, event" : "Event"} ${count(number)} of ${count(end)}, ${when(time)}`}
    onPointerDown=${(event) => {
      if (event.button !== 0 || !timeline) return;
      strip.current.setPointerCapture(event.pointerId);
      strip.current.focus();
      move(event);
    }}
    onPointerMove=${(event) => {
      if (!timeline) return;
      setHovered(Math.min(Math.max(at(event), 0), 1));
      if (strip.current.hasPointerCapture(event.pointerId)) move(event);
    }}
    onPointerLeave=${() => setHovered(null)}
    onKeyDown=${(event) => onKey(event, timeline, number, end, onMove)}
  >
    <canvas ref=${canvas} aria-hidden="true"></canvas>
    <span class="handle" ref=${handle} aria-hidden="true"></span>
    ${hovered !== null && timeline && html`<${Tip} timeline=${timeline} share=${hovered} />`}
  </div>`;
}

function Tip({ timeline, share }) {
  const tip = useRef(null);
  useLayoutEffect(() => {
    tip.current.style.left = `clamp(7rem, ${share * 100}%, calc(100% - 7rem))`;
  }, [share]);
  const number = numberAt(timeline, share);
  const bucket = timeline.buckets[bucketIndex(timeline.buckets, number)];
  if (!bucket) return html`<span ref=${tip}></span>`;
  const marks = [
    plural(bucket.events, "event"),
    bucket.failures ? `${count(bucket.failures)} failed` : "",
    bucket.reopenings ? `${count(bucket.reopenings)} reopened` : "",
  ];
  return html`<span class="tip" ref=${tip} aria-hidden="true"><b>${when(bucket.start, { seconds: false })}</b> ${marks.filter(Boolean).join(" · ")}</span>`;
}

function onKey(event, timeline, number, end, onMove) {
  if (!timeline || event.altKey || event.ctrlKey || event.metaKey) return;
  const far = (shares) => numberAt(timeline, shareOf(timeline, number) + shares);
  const step = event.shiftKey ? 10 : 1;
  const to = {
    ArrowLeft: number - step,
    ArrowDown: number - step,
    ArrowRight: number + step,
    ArrowUp: number + step,
    PageDown: Math.min(far(-PAGE_SHARE), number - 1),
    PageUp: Math.max(far(PAGE_SHARE), number + 1),
    Home: 1,
    End: end,
  }[event.key];
  if (!to) return;
  event.preventDefault();
  onMove(Math.min(Math.max(to, 1), end));
}

function useWidth(element) {
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(Math.round(entry.contentRect.width), 1)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** Bars as high as the logarithm of their events, so that a quiet hour is seen beside a busy one; marks above them. */
function paint(canvas, timeline, width) {
  const scale = devicePixelRatio || 1;
  const height = canvas.clientHeight || 44;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  if (!timeline?.buckets.length) return;
  const most = Math.log1p(Math.max(...timeline.buckets.map((bucket) => bucket.events)));
  const step = width / timeline.buckets.length;
  const [bar, failed, reopened] = ["--strip-bar", "--state-failed", "--strip-reopened"].map(token);
  timeline.buckets.forEach((bucket, index) => {
    const [left, wide] = [index * step, Math.max(step - (step > 4 ? 1 : 0), 0.75)];
    const high = (Math.log1p(bucket.events) / most) * (height - 14);
    pen.fillStyle = bar;
    pen.fillRect(left, height - high, wide, high);
    if (bucket.failures) mark(pen, failed, left, 1, wide);
    if (bucket.reopenings) mark(pen, reopened, left, 6, wide);
  });
}

function mark(pen, colour, left, top, wide) {
  pen.fillStyle = colour;
  pen.fillRect(left, top, Math.max(wide, 2.5), 4);
}
