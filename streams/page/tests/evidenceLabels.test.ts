import assert from "node:assert/strict";
import { test } from "node:test";

import { type EvidenceLabel, labelsOf, type Spot } from "../src/evidenceLabels.ts";
import type { Evidence } from "../src/records.ts";

const seen = (device_id: string, kind = "camera_smoke") => ({ device_id, kind }) as Evidence;
const spot = (x: number, y: number, ...devices: string[]): Spot => ({ x, y, evidence: devices.map((one) => seen(one)) });

function box({ x, y, side, words }: EvidenceLabel) {
  const lines = words.split("\n");
  const width = Math.max(...lines.map((line) => line.length)) * 7;
  const west = side === "west" ? x - width : x;
  return { west, east: west + width, top: y - lines.length * 8, bottom: y + lines.length * 8 };
}

function overlaps(labels: EvidenceLabel[]): boolean {
  const boxes = labels.map(box);
  return boxes.some((a, at) => boxes.slice(at + 1).some((b) => a.west < b.east && b.west < a.east && a.top < b.bottom && b.top < a.bottom));
}

test("a label stands beside its place, on the side away from the incident", () => {
  const labels = labelsOf([spot(-100, -90, "CAM-1"), spot(80, 70, "CAM-2")], false);
  assert.deepEqual(labels.map((one) => [one.x, one.y, one.side, one.words]), [
    [-114, -90, "west", "Smoke on camera · CAM-1"],
    [94, 70, "east", "Smoke on camera · CAM-2"],
  ]);
});

test("no label begins under the incident's sign, nor under the mark of an exercise", () => {
  for (const x of [-8, 0, 3, 20]) {
    for (const y of [-30, 0, 30]) {
      assert.ok(Math.abs(labelsOf([spot(x, y, "CAM-1")], false)[0]?.x ?? 0) >= 32);
      assert.ok(Math.abs(labelsOf([spot(x, y, "CAM-1")], true)[0]?.x ?? 0) >= 46);
    }
  }
});

test("two labels at nearly one place are moved apart and both are told", () => {
  const labels = labelsOf([spot(5, 0, "CAM-1"), spot(6, 2, "CAM-2")], false);
  assert.equal(labels.length, 2);
  assert.ok(!overlaps(labels));
});

test("more than fit there become one with a count, and every piece is told or counted once", () => {
  const crowd = Array.from({ length: 9 }, (_, at) => spot(at / 3, at / 5, `exercise:fire-12514630e46f1198:camera-${at}`));
  const labels = labelsOf(crowd, true);
  assert.ok(!overlaps(labels));
  const told = labels.map(({ words }) => Number(/^(\d+) pieces of evidence here$/.exec(words)?.[1] ?? 1));
  assert.equal(told.reduce((a, b) => a + b), 9);
  assert.ok(labels.length < 9);
});

test("many claims of one place are counted, few are told line by line, the same words once", () => {
  assert.equal(labelsOf([spot(99, 0, "A", "B", "C", "D", "E")], false)[0]?.words, "5 pieces of evidence here");
  assert.equal(labelsOf([spot(99, 0, "A", "A", "B")], false)[0]?.words, "Smoke on camera · A\nSmoke on camera · B");
});
