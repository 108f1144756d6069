// The session, against a server that answers as the contract says.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { boardOf } from "../../../../web/page/board_model.js";
import { NO_FILTERS, readPlace } from "../../../../web/page/place.js";
import { Session } from "../../../../web/page/session.js";
import { answerAt, makeSteps, random } from "./town.mjs";

const STEPS = makeSteps(17, 1_500);
let end = 1_500;
let asked = [];
let isAnswering = true;

const routes = {
  "/api/v1": () => ({ town: "made-up", end: STEPS[end - 1], agents: {}, may_write: true }),
  "/api/v1/board": (query) => answerAt(STEPS, Number(query.get("at") ?? end), { by: query.get("by"), limit: Number(query.get("limit")) }),
  "/api/v1/steps": (query) => {
    const after = Number(query.get("after"));
    return { steps: STEPS.slice(after, Math.min(after + Number(query.get("limit")), end)) };
  },
};

globalThis.sessionStorage = { getItem: () => null, setItem: () => {} };
globalThis.fetch = async (url) => {
  if (!isAnswering) throw new TypeError("gone");
  const { pathname, searchParams } = new URL(url, "http://127.0.0.1");
  asked.push(pathname.split("/").at(-1));
  return new Response(JSON.stringify(routes[pathname](searchParams)), { headers: { "Content-Type": "application/json" } });
};

beforeEach(() => {
  [end, asked, isAnswering] = [1_500, [], true];
});

const placeAt = (at) => ({ ...readPlace(""), at, filters: NO_FILTERS });
const bare = ({ columns, number }) => ({ number, columns: columns.map(({ key, total, cards }) => ({ key, total, cards: cards.slice(0, 50) })) });
const boardAt = (number) => bare(boardOf(answerAt(STEPS, number, { limit: 200 }), NO_FILTERS));

test("whatever moments are wished one after the other, each shows the board of that moment", async () => {
  const next = random(23);
  const session = new Session();
  await session.open();
  for (let time = 0; time < 60; time += 1) {
    const at = next() < 0.5 ? 1 + Math.floor(next() * 1_500) : Math.max(1, Math.min(1_500, (session.board.now?.number ?? 700) + Math.floor(next() * 40) - 20));
    await session.show(placeAt(at));
    assert.deepEqual(bare(session.board.now), boardAt(at));
  }
});

test("of wishes that come faster than answers the last one is shown, and those between are not asked for", async () => {
  const session = new Session();
  await session.open();
  await Promise.all([10, 1_000, 20, 1_400, 600].map((at) => session.show(placeAt(at))));
  assert.equal(session.board.now.number, 600);
  assert.deepEqual(asked.filter((path) => path === "board").length, 2);
});

test("a near moment is reached by steps alone, and the way back asks for nothing", async () => {
  const session = new Session();
  await session.open();
  await session.show(placeAt(700));
  asked = [];
  await session.show(placeAt(710));
  assert.deepEqual(asked, ["steps"]);
  asked = [];
  await session.show(placeAt(701));
  assert.deepEqual(asked, []);
});

test("live, an event that comes is on the board; in the past it is not", async () => {
  end = 1_000;
  const session = new Session();
  await session.open();
  await session.show(placeAt(null));
  end = 1_003;
  for (const number of [1_001, 1_002, 1_003]) session.saw(STEPS[number - 1]);
  await session.show(placeAt(null));
  assert.deepEqual(bare(session.board.now), boardAt(1_003));
  await session.show(placeAt(900));
  end = 1_004;
  session.saw(STEPS[1_003]);
  assert.equal(session.board.now.number, 900);
  assert.equal(session.end.now, 1_004);
});

test("a server that is gone is said, the board stays, and the next wish tries again", async () => {
  const session = new Session();
  await session.open();
  await session.show(placeAt(700));
  isAnswering = false;
  await session.show(placeAt(10));
  assert.match(session.problem.now.message, /does not answer/);
  assert.equal(session.board.now.number, 700);
  isAnswering = true;
  await session.show(placeAt(10));
  assert.equal(session.problem.now, null);
  assert.equal(session.board.now.number, 10);
});
