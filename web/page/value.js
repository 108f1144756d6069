// Value: something that changes, and tells who wants to know. Pure.

export class Value {
  #now;
  #listeners = new Set();

  constructor(first) {
    this.#now = first;
  }

  get now() {
    return this.#now;
  }

  set(next) {
    if (Object.is(next, this.#now)) return;
    this.#now = next;
    for (const listener of [...this.#listeners]) listener(next);
  }

  /** Calls `listener` after each change; the answer ends that. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
