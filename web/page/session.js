// The session: which board is shown, and how it gets to another moment: by steps if that is near, else by asking again.
// One change of the board is under way at a time, and the newest wish wins; so a drag is followed as fast as answers come.

import { get } from "./api.js";
import { boardOf, forward, isSteppable, reverse, withMore } from "./board_model.js";
import { filterPairs, LIVE } from "./place.js";
import { Steps } from "./steps.js";
import { extended, timelineOf } from "./timeline_model.js";
import { Value } from "./value.js";

/** Farther than this the server's answer comes sooner than so many steps. */
const STEPS_MAX = 500;
const COLUMN_CARDS = 200;
const TIMELINE_BUCKETS = 600;

export class Session {
  /** What the server says of the town: its name, its first and last moment, who the reader is and what they may do. */
  town = new Value(null);
  board = new Value(null);
  timeline = new Value(null);
  problem = new Value(null);
  /** The number of the ledger's last event, as far as the page knows. */
  end = new Value(0);
  steps = new Steps((after, limit) => get("/steps", [["after", after], ["limit", limit]]));
  #wish = null;
  #working = null;
  #timelineAsked = false;

  /** Ask what the town is. Problem. */
  async open() {
    const town = await get("");
    this.town.set(town);
    this.#sawEnd(town.end.number);
    return town;
  }

  /** Show the board that a place names, and go on until nothing newer is wished. */
  show(wish) {
    this.#wish = wish;
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
    });
    return this.#working;
  }

  /** An event came. */
  saw(event) {
    this.#sawEnd(event.number);
    if (this.timeline.now) this.timeline.set(extended(this.timeline.now, event));
    if (this.#wish?.at === LIVE) this.show(this.#wish);
  }

  /** The stream began, perhaps after a while without one. */
  sawPosition(position) {
    this.#sawEnd(Number(position.split("-")[1]));
    if (this.#wish?.at === LIVE) this.show(this.#wish);
  }

  async loadTimeline() {
    if (this.#timelineAsked) return;
    this.#timelineAsked = true;
    do {
      this.timeline.set(timelineOf(await get("/timeline", [["buckets", TIMELINE_BUCKETS]])));
    } while (!this.timeline.now.isWhole);
    this.#sawEnd(this.timeline.now.events);
  }

  /** More cards of a column, those that follow the ones that are here. */
  async loadMore(key) {
    const board = this.board.now;
    const column = board.columns.find((each) => each.key === key);
    const filters = board.by === "state" ? { ...board.filters, state: [key] } : board.filters;
    const answer = await get("/board", boardPairs(board.by, filters, board.number || null, column.cards.length));
    const more = answer.columns.find((each) => each.key === key)?.tasks ?? [];
    if (this.board.now === board) this.board.set(withMore(board, key, more));
  }

  #sawEnd(number) {
    if (number > this.end.now) this.end.set(number);
  }

  async #work() {
    for (let wish = this.#wish; wish !== null && !this.#isShown(wish); wish = this.#wish) {
      try {
        await this.#goTo(wish);
        this.problem.set(null);
      } catch (problem) {
        if (wish === this.#wish) {
          this.problem.set(problem);
          return;
        }
      }
    }
  }

  #isShown(wish) {
    const board = this.board.now;
    return board !== null && isSame(board, wish) && board.number === this.#target(wish);
  }

  #target(wish) {
    return wish.at === LIVE ? this.end.now : Math.min(wish.at, Math.max(this.end.now, 1));
  }

  async #goTo(wish) {
    const board = this.board.now;
    const target = this.#target(wish);
    const isNear = board !== null && board.number > 0 && Math.abs(target - board.number) <= STEPS_MAX;
    if (isNear && isSame(board, wish) && isSteppable(wish.filters)) {
      this.board.set(await this.#stepped(board, target));
    } else {
      this.board.set(await this.#asked(wish));
    }
  }

  async #stepped(board, target) {
    if (target > board.number) return forward(board, await this.steps.range(board.number + 1, target));
    const [moment, ...steps] = await this.steps.range(target, board.number);
    return reverse(board, steps, moment);
  }

  async #asked(wish) {
    const answer = await get("/board", boardPairs(wish.by, wish.filters, wish.at === LIVE ? null : this.#target(wish)));
    this.#sawEnd(answer.number);
    return boardOf(answer, wish.filters);
  }
}

/** Whether a board has the columns and filters of a wish. */
function isSame(board, wish) {
  return board.by === wish.by && (board.filters === wish.filters || JSON.stringify(board.filters) === JSON.stringify(wish.filters));
}

/** What a board is asked with: its first cards, or those after so many. */
function boardPairs(by, filters, at, offset = null) {
  return [["by", by], ["limit", COLUMN_CARDS], ...filterPairs(filters), ["at", at], ["offset", offset]];
}
