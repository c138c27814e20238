import assert from "node:assert/strict";
import { test } from "node:test";

import { claimWords, clockOf, compass, due, doneWords, joinDirections, kindWords, nameKinds, shortIds, span, titleOf } from "../src/words.ts";

test("spans are told in the largest unit that helps", () => {
  assert.deepEqual([0, 59_400, 60_000, 3_599_000, 3_900_000, 90_000_000].map(span), ["0 s", "59 s", "1 min", "59 min", "1 h 05 min", "1 d"]);
  assert.equal(span(-5_000), "0 s");
});

test("due times look forward and back", () => {
  assert.deepEqual([-29_999, 29_999, 60_000, -120_000].map(due), ["now", "now", "in 1 min", "2 min ago"]);
});

test("the clock is the city's", () => {
  assert.equal(clockOf("Asia/Ho_Chi_Minh")(Date.UTC(2026, 2, 1, 17, 0, 5)), "00:00:05");
  assert.equal(clockOf("")(0), "00:00:00");
});

test("kinds and claims in words", () => {
  assert.equal(kindWords("wrong_way"), "Wrong way");
  assert.equal(claimWords("camera_crash"), "Crash on camera");
  assert.equal(claimWords("hard_stop"), "Hard stop");
});

test("directions of a line are joined, the nearest line first", () => {
  const line = (line_id: string, direction_id: number, distance_m: number) => ({ line_id, line_name: "", direction_id, distance_m });
  const joined = joinDirections([line("09", 0, 30), line("16", 1, 10), line("09", 1, 20), line("22", -1, 5)]);
  assert.deepEqual(joined.map((one) => [one.line_id, one.direction, one.distance_m]), [["22", "", 5], ["16", "←", 10], ["09", "⇄", 20]]);
});

test("bearings name the nearest of eight directions", () => {
  assert.deepEqual([0, 22, 23, 180, 338, -90].map(compass), ["N", "N", "NE", "S", "N", "W"]);
});

test("an exercise's device is named by its last part, alone and within a reason", () => {
  assert.equal(shortIds("exercise:crash-12514630e46f1198:microphone-1"), "microphone-1");
  assert.equal(shortIds("impact sound exercise:crash-1251:mic-1, 3 m away"), "impact sound mic-1, 3 m away");
  assert.equal(shortIds("exercise: all of it"), "exercise: all of it");
  assert.equal(shortIds("CAM-hoang-dieu"), "CAM-hoang-dieu");
});

test("incidents are called as their rules say", () => {
  assert.equal(titleOf({ kind: "noise", rule_id: "noise_at_night" }), "Noise");
  nameKinds([
    { rule_id: "noise", kind: "noise", title: "Noise above the limit" },
    { rule_id: "noise_at_night", kind: "noise", title: "Noise at night" },
  ]);
  assert.equal(kindWords("noise"), "Noise above the limit");
  assert.equal(titleOf({ kind: "noise", rule_id: "noise_at_night" }), "Noise at night");
  assert.equal(kindWords("street_vending"), "Street vending");
  assert.equal(claimWords("noise"), "Noise");
  nameKinds([]);
});

test("an action says what was done", () => {
  assert.equal(doneWords({ decision: "ASSIGN", assignee: "Ward 7" }), "assigned to Ward 7");
  assert.equal(doneWords({ decision: "RESOLVE", assignee: "" }), "resolved");
});
