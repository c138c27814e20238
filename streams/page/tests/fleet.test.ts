import assert from "node:assert/strict";
import { test } from "node:test";

import { Fleet, place, project, type Vehicle } from "../src/fleet.ts";
import type { VehicleRow } from "../src/records.ts";

const row = (lon: number, lat: number, atMs: number, bearing: number | null = 90): VehicleRow => ["bus-1", lon, lat, bearing, 8, "09", "BUS", atMs];
const only = (fleet: Fleet) => fleet.vehicles.get("bus-1") as Vehicle;

test("a vehicle glides to where it was heard, in the time between its positions, and no further", () => {
  const fleet = new Fleet();
  fleet.update([row(105.8, 21.0, 10_000)], 0);
  assert.deepEqual(place(only(fleet), 500), project(105.8, 21.0));
  fleet.update([row(105.801, 21.0, 14_000)], 1_000);
  const [from] = project(105.8, 21.0);
  const [to] = project(105.801, 21.0);
  assert.ok(Math.abs(place(only(fleet), 3_000)[0] - (from + to) / 2) < 1e-6);
  assert.equal(place(only(fleet), 60_000)[0], to);
});

test("a new position begins where the vehicle is drawn, so it never jumps back", () => {
  const fleet = new Fleet();
  fleet.update([row(105.8, 21.0, 0)], 0);
  fleet.update([row(105.801, 21.0, 10_000)], 0);
  const drawn = place(only(fleet), 4_000);
  fleet.update([row(105.802, 21.0, 14_000)], 4_000);
  assert.deepEqual(place(only(fleet), 4_000), drawn);
});

test("an older position changes nothing; a heading is kept when none is told", () => {
  const fleet = new Fleet();
  fleet.update([row(105.8, 21.0, 10_000)], 0);
  fleet.update([row(106, 21.0, 9_000)], 0);
  assert.equal(only(fleet).toX, project(105.8, 21.0)[0]);
  fleet.update([row(105.8001, 21.0, 11_000, null)], 0);
  assert.equal(only(fleet).bearingDeg, 90);
});

test("far away is a jump, not a glide across the city", () => {
  const fleet = new Fleet();
  fleet.update([row(105.8, 21.0, 0)], 0);
  fleet.update([row(105.9, 21.0, 60_000)], 0);
  assert.equal(place(only(fleet), 0)[0], project(105.9, 21.0)[0]);
});

test("who was not heard of for two minutes is forgotten", () => {
  const fleet = new Fleet();
  fleet.update([row(105.8, 21.0, 0), ["taxi-2", 105.8, 21.0, null, null, "", "TAXI", 0]], 0);
  fleet.update([row(105.8, 21.0, 120_001)], 0);
  assert.deepEqual([...fleet.vehicles.keys()], ["bus-1"]);
});

test("Web Mercator agrees with published figures", () => {
  const [x, y] = project(180, 85.051128779806604);
  assert.ok(Math.abs(x - 20_037_508.342789244) < 1e-6);
  assert.ok(Math.abs(y - 20_037_508.342789244) < 1e-6);
});
