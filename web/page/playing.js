// Playing: when which event is due. Pure.

export const SPEEDS = [1, 10, 60, 300, 1000];

/** Nobody waits longer for an event than this, however long the town was idle; at a high speed less. */
const WAIT_MS_MAX = 1_200;

/** How long the page waits before an event, `gap` milliseconds of the town's time after the last one. */
export function waitBefore(gap, speed) {
  return Math.min(Math.max(gap, 0) / speed, WAIT_MS_MAX / Math.sqrt(speed));
}

/**
 * How many of `steps`, which follow the event at `time`, are due within `budget` milliseconds, and what is left of it.
 * Steps without a known time before them are due at once.
 */
export function due(steps, time, speed, budget) {
  let [last, left, number] = [Date.parse(time), budget, 0];
  for (const step of steps) {
    const at = Date.parse(step.time);
    const wait = waitBefore(Number.isNaN(last) ? 0 : at - last, speed);
    if (wait > left) break;
    left -= wait;
    last = at;
    number += 1;
  }
  return { number, left };
}
