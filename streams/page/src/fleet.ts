/** Vehicles as columns: where each was last told to be, and where it is drawn on the way there. Pure. */

import type { VehicleRow } from "./records.ts";

const FORGET_MS = 120_000;
const FASTEST_MS = 1_000;
const SLOWEST_MS = 15_000;
const JUMP_M = 2_000;
const EARTH_RADIUS_M = 6_378_137;

/** Web Mercator metres (EPSG:3857). */
export function project(lonDeg: number, latDeg: number): [number, number] {
  const y = Math.log(Math.tan(Math.PI / 4 + (latDeg * Math.PI) / 360));
  return [(EARTH_RADIUS_M * lonDeg * Math.PI) / 180, EARTH_RADIUS_M * y];
}

export interface Vehicle {
  id: string;
  lineId: string;
  vehicleClass: string;
  bearingDeg: number | null;
  speedMps: number | null;
  atMs: number;
  fromX: number;
  fromY: number;
  toX: number;
  toY: number;
  movedMs: number;
  takesMs: number;
}

/**
 * All vehicles. A vehicle is drawn gliding from where it was drawn to where it was last heard, in the time that lay
 * between its last two positions: never further than it was heard, so nothing is invented.
 */
export class Fleet {
  readonly vehicles = new Map<string, Vehicle>();
  private latestMs = 0;

  /** Take what was heard. nowMs: the clock that `place` is asked with. */
  update(rows: VehicleRow[], nowMs: number): void {
    for (const [id, lon, lat, bearingDeg, speedMps, lineId, vehicleClass, atMs] of rows) {
      const [x, y] = project(lon, lat);
      const before = this.vehicles.get(id);
      this.latestMs = Math.max(this.latestMs, atMs);
      if (before === undefined) {
        const still = { fromX: x, fromY: y, toX: x, toY: y, movedMs: nowMs, takesMs: 0 };
        this.vehicles.set(id, { id, lineId, vehicleClass, bearingDeg, speedMps, atMs, ...still });
        continue;
      }
      if (atMs <= before.atMs) continue;
      const [fromX, fromY] = place(before, nowMs);
      const jumps = Math.hypot(x - fromX, y - fromY) > JUMP_M;
      before.fromX = jumps ? x : fromX;
      before.fromY = jumps ? y : fromY;
      before.toX = x;
      before.toY = y;
      before.movedMs = nowMs;
      before.takesMs = Math.min(SLOWEST_MS, Math.max(FASTEST_MS, atMs - before.atMs));
      before.bearingDeg = bearingDeg ?? before.bearingDeg;
      before.speedMps = speedMps;
      before.lineId = lineId;
      before.vehicleClass = vehicleClass;
      before.atMs = atMs;
    }
    this.forget();
  }

  clear(): void {
    this.vehicles.clear();
    this.latestMs = 0;
  }

  private forget(): void {
    for (const [id, one] of this.vehicles) {
      if (one.atMs < this.latestMs - FORGET_MS) this.vehicles.delete(id);
    }
  }
}

/** Where a vehicle is drawn at a time, in Web Mercator metres. */
export function place(one: Vehicle, nowMs: number): [number, number] {
  if (one.takesMs === 0) return [one.toX, one.toY];
  const part = Math.min(1, Math.max(0, (nowMs - one.movedMs) / one.takesMs));
  return [one.fromX + (one.toX - one.fromX) * part, one.fromY + (one.toY - one.fromY) * part];
}
