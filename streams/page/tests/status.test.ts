import assert from "node:assert/strict";
import { test } from "node:test";

import { lagHealth, NOTHING_KNOWN, sinkHealth } from "../src/status.ts";

test("what was not told is neither well nor bad", () => {
  assert.equal(lagHealth(NOTHING_KNOWN.lag), "unknown");
  assert.equal(sinkHealth(NOTHING_KNOWN), "unknown");
});

test("what was told has a lamp", () => {
  assert.deepEqual([0, 4_999, 5_000, 100_000].map(lagHealth), ["good", "good", "slow", "bad"]);
  assert.deepEqual([0, 10, 60].map((sinkDelayS) => sinkHealth({ ...NOTHING_KNOWN, sinkDelayS })), ["good", "slow", "bad"]);
});
