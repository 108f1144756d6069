// The time bar: the slider, what plays it, and the moment in words.

import { LIVE } from "./place.js";
import { SPEEDS } from "./playing.js";
import { follow, place } from "./router.js";
import { Slider } from "./slider.js";
import { html, Icon, useValue } from "./view.js";
import { count, when } from "./words.js";

export function TimeBar({ session, player, live }) {
  const board = useValue(session.board);
  const end = useValue(session.end);
  const timeline = useValue(session.timeline);
  const here = useValue(place);
  const isPlaying = useValue(player.isPlaying);
  const isLive = here.at === LIVE;
  const number = here.at ?? end;
  const time = number ? board?.time ?? session.town.now?.end.time : undefined;
  return html`<footer class="time-bar" aria-label="Time">
    <div class="transport">
      <button class="icon" aria-label="One event back" title="One event back ( , )" onClick=${() => player.step(-1)} disabled=${number <= 1}><${Icon} name="back" /></button>
      <button class="icon is-main" aria-label=${isPlaying ? "Pause" : "Play"} title="Play or pause ( p )" onClick=${() => player.toggle()} disabled=${end < 2}><${Icon} name=${isPlaying ? "pause" : "play"} /></button>
      <button class="icon" aria-label="One event forward" title="One event forward ( . )" onClick=${() => player.step(1)} disabled=${number >= end}><${Icon} name="next" /></button>
      <${Speed} player=${player} />
      <p class="moment" data-number=${board?.number ?? ""}>
        <time datetime=${time ?? ""}>${time ? when(time) : "–"}</time>
        <span class="muted">event <b>${count(number)}</b> of ${count(end)}</span>
      </p>
      <span class="spring"></span>
      <a class="plain" ...${follow({ page: "diff", from: String(number), to: null })} title="What changed between this moment and another one">Compare</a>
      <button class=${`live${isLive ? " is-on" : ""}`} aria-pressed=${isLive} title="Back to live ( l )" onClick=${() => player.toLive()}>
        <${LiveDot} live=${live} /> Live
      </button>
    </div>
    <${Slider} ...${{ timeline, number, time, end }} onMove=${(to) => player.goTo(to)} />
  </footer>`;
}

function LiveDot({ live }) {
  const state = useValue(live.state);
  const words = { live: "connected", connecting: "connecting", away: "not connected, trying again" }[state];
  return html`<span class="live-dot" data-state=${state} title=${words} aria-hidden="true"></span><span class="only-read">(${words})</span>`;
}

function Speed({ player }) {
  const speed = useValue(player.speed);
  return html`<label class="speed"><span class="only-read">Speed</span>
    <select value=${speed} onChange=${(event) => player.speed.set(Number(event.target.value))}>
      ${SPEEDS.map((each) => html`<option value=${each} selected=${each === speed}>${each}×</option>`)}
    </select>
  </label>`;
}

/** What stands above a page that shows the past. */
export function PastNote({ player }) {
  const here = useValue(place);
  if (here.at === LIVE) return null;
  return html`<p class="past-note" role="status">This is event ${count(here.at)}, as it was then. Changes are made live. <button class="link" onClick=${() => player.toLive()}>Back to live</button></p>`;
}
