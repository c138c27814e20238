/** What is written about an incident's evidence on the map, and where: clear of its sign and of each other. Pure. */

import type { Evidence } from "./records.ts";
import { claimWords, shortIds } from "./words.ts";

const CHARACTER_PX = 7.2;
const LINE_PX = 17;
const BESIDE_PX = 14;
const SIGN_PX = 32;
const EXERCISE_SIGN_PX = 46;
const EXERCISE_BELOW_PX = 42;
const MOST_LINES = 3;
const MOST_NUDGE_PX = 28;
const NUDGES = 40;

/** A place where evidence is, in pixels east (x) and south (y) of the incident. */
export interface Spot {
  x: number;
  y: number;
  evidence: Evidence[];
}

/** Words whose nearer end is at x and whose middle is at y, in pixels east and south of the incident. */
export interface EvidenceLabel {
  x: number;
  y: number;
  side: "west" | "east";
  words: string;
}

interface Standing extends EvidenceLabel {
  spot: Spot;
  nudge: number;
  width: number;
  height: number;
}

/** One label a spot; those that overlap are moved apart a little, or become one that counts. */
export function labelsOf(spots: Spot[], exercise: boolean): EvidenceLabel[] {
  let standing = spots.map((spot) => stand(spot, wordsOf(spot.evidence), 0, exercise));
  for (let round = 0; ; round += 1) {
    const pair = overlapping(standing);
    if (pair === null) return standing.map(({ x, y, side, words }) => ({ x, y, side, words }));
    const [upper, lower] = pair;
    const others = standing.filter((one) => one !== upper && one !== lower);
    const half = (bottom(upper) - top(lower)) / 2 + 0.5;
    const fits = upper.nudge - half >= -MOST_NUDGE_PX && lower.nudge + half <= MOST_NUDGE_PX;
    if (fits && round < NUDGES) {
      const apart = [stand(upper.spot, upper.words, upper.nudge - half, exercise), stand(lower.spot, lower.words, lower.nudge + half, exercise)];
      standing = [...others, ...apart];
    } else {
      const joined = join(upper.spot, lower.spot);
      standing = [...others, stand(joined, countWords(joined.evidence), 0, exercise)];
    }
  }
}

function stand(spot: Spot, words: string, nudge: number, exercise: boolean): Standing {
  const lines = words.split("\n");
  const height = lines.length * LINE_PX;
  const width = Math.max(...lines.map((line) => line.length)) * CHARACTER_PX;
  const y = spot.y + nudge;
  const beneath = exercise ? EXERCISE_BELOW_PX : SIGN_PX; // the mark EXERCISE is under the sign
  const besideSign = y + height / 2 > -SIGN_PX && y - height / 2 < beneath;
  const clear = besideSign ? (exercise ? EXERCISE_SIGN_PX : SIGN_PX) : 0;
  const west = spot.x < 0;
  const x = west ? Math.min(spot.x - BESIDE_PX, -clear) : Math.max(spot.x + BESIDE_PX, clear);
  return { x, y, side: west ? "west" : "east", words, spot, nudge, width, height };
}

/** Two labels one of which covers the other, the upper one first; null when there are none. */
function overlapping(standing: Standing[]): [Standing, Standing] | null {
  for (const [at, a] of standing.entries()) {
    for (const b of standing.slice(at + 1)) {
      if (left(a) >= right(b) || left(b) >= right(a) || top(a) >= bottom(b) || top(b) >= bottom(a)) continue;
      return a.y <= b.y ? [a, b] : [b, a];
    }
  }
  return null;
}

function join(a: Spot, b: Spot): Spot {
  const evidence = [...a.evidence, ...b.evidence];
  const mean = (axis: "x" | "y") => (a[axis] * a.evidence.length + b[axis] * b.evidence.length) / evidence.length;
  return { x: mean("x"), y: mean("y"), evidence };
}

function wordsOf(evidence: Evidence[]): string {
  const lines = new Set(evidence.map((one) => `${claimWords(one.kind)} · ${shortIds(one.device_id)}`));
  return lines.size > MOST_LINES ? countWords(evidence) : [...lines].join("\n");
}

function countWords(evidence: Evidence[]): string {
  return `${evidence.length} pieces of evidence here`;
}

const left = (one: Standing) => (one.side === "west" ? one.x - one.width : one.x);
const right = (one: Standing) => (one.side === "west" ? one.x : one.x + one.width);
const top = (one: Standing) => one.y - one.height / 2;
const bottom = (one: Standing) => one.y + one.height / 2;
