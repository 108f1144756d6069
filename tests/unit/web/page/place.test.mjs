// Places and addresses: each place has an address that leads back to it.

import assert from "node:assert/strict";
import test from "node:test";

import { GROUPS, hasFilters, LIVE, NO_FILTERS, PAGES, readPlace, writePlace } from "../../../../web/page/place.js";

test("an address leads back to the place it was written for", () => {
  for (const page of PAGES) {
    for (const by of GROUPS) {
      const filters = { state: ["running", "failed"], tag: ["a&b", "ü"], not_tag: ["x"], priority: ["0"], q: "a b+c", agent: "ada l", parent: "p", overdue: true };
      const place = { ...readPlace(""), page, by, at: 4_711, task: "t1", from: "1", to: "2h", sort: "updated", filters };
      assert.deepEqual(readPlace(writePlace(place)), place);
    }
  }
});

test("what is usual is not in the address", () => {
  assert.equal(writePlace(readPlace("")), "");
  assert.ok(!hasFilters(readPlace("").filters));
});

test("an address that says nothing sensible shows the live board", () => {
  const place = readPlace("?page=nowhere&by=colour&at=-3&unknown=1");
  assert.deepEqual([place.page, place.by, place.at], ["board", "state", LIVE]);
  for (const at of ["0", "1e3", "99999999999999999999", "x"]) assert.equal(readPlace(`?at=${at}`).at, LIVE);
});

test("no filters are shared between places", () => {
  readPlace("").filters.tag.push("x");
  assert.deepEqual(NO_FILTERS.tag, []);
});
