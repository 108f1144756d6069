// The player: lets the town's past run by, at a speed, and says when it is at the end.

import { LIVE } from "./place.js";
import { due } from "./playing.js";
import { adjust, place } from "./router.js";
import { Value } from "./value.js";

const AHEAD = 400;
/** In one frame no more events than the board can take in without a stutter. */
const FRAME_EVENTS_MAX = 200;
const FRAME_MS_MAX = 100;

export class Player {
  isPlaying = new Value(false);
  speed = new Value(60);
  #session;
  #left = 0;
  #last = 0;

  constructor(session) {
    this.#session = session;
  }

  toggle() {
    if (this.isPlaying.now) this.pause();
    else this.play();
  }

  /** Play on from the moment that is shown; from the beginning if that is the end. */
  play() {
    const { board, end } = this.#session;
    if (end.now < 2 || board.now === null) return;
    if (place.now.at === LIVE || board.now.number >= end.now) adjust({ at: 1 });
    this.#left = 0;
    this.#last = performance.now();
    this.isPlaying.set(true);
    this.#next();
  }

  pause() {
    this.isPlaying.set(false);
  }

  /** Go some events forward, or back with a number below 0. */
  step(events) {
    this.pause();
    const { end, board } = this.#session;
    const from = place.now.at ?? board.now?.number ?? end.now;
    adjust({ at: Math.min(Math.max(from + events, 1), end.now) });
  }

  goTo(number) {
    this.pause();
    adjust({ at: number >= this.#session.end.now ? LIVE : Math.max(number, 1) });
  }

  toLive() {
    this.pause();
    adjust({ at: LIVE });
  }

  #next() {
    requestAnimationFrame((now) => {
      if (!this.isPlaying.now) return;
      this.#left += Math.min(now - this.#last, FRAME_MS_MAX);
      this.#last = now;
      this.#frame().then(() => this.#next(), () => this.pause());
    });
  }

  async #frame() {
    const { board, steps, end } = this.#session;
    const { number, time } = board.now;
    if (number !== place.now.at) return; // The board is not there yet.
    if (number >= end.now) {
      this.toLive();
      return;
    }
    const last = Math.min(number + AHEAD, end.now);
    if (!steps.has(number + 1)) await steps.range(number + 1, last);
    else if (!steps.has(Math.min(number + AHEAD / 2, end.now))) steps.range(number + 1, last).catch(() => {});
    const count = Math.min(steps.ahead(number, FRAME_EVENTS_MAX), last - number);
    const coming = Array.from({ length: count }, (_, index) => steps.get(number + 1 + index));
    const found = due(coming, time, this.speed.now, this.#left);
    this.#left = found.number === count ? 0 : found.left;
    if (found.number > 0 && this.isPlaying.now) adjust({ at: number + found.number });
  }
}
