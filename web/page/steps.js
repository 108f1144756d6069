// Steps: what each event changed, kept by the event's number and fetched as they are needed.

const FETCH_MAX = 1_000;
const KEPT_MAX = 30_000;

export class Steps {
  #kept = new Map();
  #fetch;

  /** `fetch(after, limit)` answers with the steps behind the event of that number. */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  has(number) {
    return this.#kept.has(number);
  }

  get(number) {
    return this.#kept.get(number);
  }

  /** How many steps behind this one are here without a gap, at most `max`. */
  ahead(number, max) {
    let count = 0;
    while (count < max && this.#kept.has(number + count + 1)) count += 1;
    return count;
  }

  /** The steps of the events `first` to `last`, oldest first. */
  async range(first, last) {
    await this.#load(first, last);
    return Array.from({ length: last - first + 1 }, (_, index) => this.#need(first + index));
  }

  #need(number) {
    const step = this.#kept.get(number);
    if (step === undefined) throw new Error(`The server has no step of event ${number}.`);
    return step;
  }

  async #load(first, last) {
    let next = first;
    while (next <= last) {
      if (this.#kept.has(next)) {
        next += 1;
        continue;
      }
      const answer = await this.#fetch(next - 1, Math.min(FETCH_MAX, last - next + 1));
      if (this.#kept.size > KEPT_MAX) this.#kept.clear();
      this.keep(answer.steps);
      if (!this.#kept.has(next)) return;
    }
  }

  keep(steps) {
    for (const step of steps) this.#kept.set(step.number, step);
  }
}
