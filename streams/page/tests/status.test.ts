import assert from "node:assert/strict";
import { test } from "node:test";

import { lagHealth, NOTHING_KNOWN, readStatus, sinkHealth } from "../src/status.ts";

test("what was not told is neither well nor bad", () => {
  assert.equal(lagHealth(NOTHING_KNOWN.lag), "unknown");
  assert.equal(sinkHealth(NOTHING_KNOWN), "unknown");
});

test("what was told has a lamp", () => {
  assert.deepEqual([0, 4_999, 5_000, 100_000].map(lagHealth), ["good", "good", "slow", "bad"]);
  assert.deepEqual([0, 10, 60].map((sinkDelayS) => sinkHealth({ ...NOTHING_KNOWN, sinkDelayS })), ["good", "slow", "bad"]);
});

test("positions come singly and in frames", () => {
  const told = { event_time_ms: 1, run: "", lag: 0, sink_delay_s: 0, troubles: [] };
  const rate = (rates: Record<string, number>) => readStatus({ ...told, rates }).positionsPerS;
  assert.equal(rate({ "camera.detections.v1": 7 }), null);
  assert.equal(rate({ "vehicle.positions.v1": 3 }), 3);
  assert.equal(rate({ "vehicle.positions.v1": 3, "vehicle.frames.v1": 500.5 }), 503.5);
});
