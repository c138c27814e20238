/**
 * The signs of incident kinds: one path each, filled, in a box of 24 by 24; a general one for a kind without its own.
 * They are put together from a few forms, all of them clockwise, so that they may overlap; holes run the other way.
 */

/** From the box to a sign of radius 14. */
export const GLYPH_SCALE = 0.72;

type Corner = readonly [number, number];

const figure = (value: number) => String(Math.round(value * 100) / 100);

/** A filled polygon, whatever way round its corners are given. */
function area(...corners: Corner[]): string {
  const turn = corners.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = corners[(index + 1) % corners.length] as Corner;
    return sum + x * nextY - nextX * y;
  }, 0);
  const clockwise = turn < 0 ? [...corners].reverse() : corners;
  return `M${clockwise.map(([x, y]) => `${figure(x)} ${figure(y)}`).join("L")}Z`;
}

const box = (x: number, y: number, width: number, height: number) =>
  area([x, y], [x + width, y], [x + width, y + height], [x, y + height]);

const boxHole = (x: number, y: number, width: number, height: number) =>
  `M${x} ${y}v${height}h${width}v${-height}Z`;

/** A straight stroke. */
function bar(x: number, y: number, toX: number, toY: number, width = 2.6): string {
  const length = Math.hypot(toX - x, toY - y);
  const [aside, along] = [((toY - y) / length) * (width / 2), ((toX - x) / length) * (width / 2)];
  return area([x - aside, y + along], [toX - aside, toY + along], [toX + aside, toY - along], [x + aside, y - along]);
}

function disc(x: number, y: number, radius: number, sweep = 1): string {
  const r = figure(radius);
  const half = `a${r} ${r} 0 1 ${sweep} `;
  return `M${figure(x - radius)} ${figure(y)}${half}${figure(2 * radius)} 0${half}${figure(-2 * radius)} 0Z`;
}

const hole = (x: number, y: number, radius: number) => disc(x, y, radius, 0);
const ring = (x: number, y: number, radius: number, width = 2.4) => disc(x, y, radius) + hole(x, y, radius - width);

/** Every step of a curve between two angles (degrees clockwise from the right) as one stroke. */
function arc(x: number, y: number, radius: number, from: number, to: number, width = 2.2): string {
  const steps = 10;
  const at = (angle: number, r: number): Corner => {
    const turn = (angle * Math.PI) / 180;
    return [x + r * Math.cos(turn), y + r * Math.sin(turn)];
  };
  const angles = Array.from({ length: steps + 1 }, (_, step) => from + ((to - from) * step) / steps);
  const outside = angles.map((angle) => at(angle, radius + width / 2));
  return area(...outside, ...angles.map((angle) => at(angle, radius - width / 2)).reverse());
}

/** A wave of water across the box. */
function wave(y: number, width = 2.4): string {
  const upper = Array.from({ length: 21 }, (_, step): Corner => [1 + step * 1.1, y + Math.sin((step * Math.PI) / 3.5) * 1.3]);
  return area(...upper, ...upper.map(([x, at]): Corner => [x, at + width]).reverse());
}

/** A wisp that rises. */
function wisp(x: number, top: number, bottom: number): string {
  const left = Array.from({ length: 13 }, (_, step): Corner => {
    const part = step / 12;
    return [x - 1.2 + Math.sin(part * 2 * Math.PI) * 1.5, top + (bottom - top) * part];
  });
  return area(...left, ...left.map(([at, y]): Corner => [at + 2.4, y]).reverse());
}

function star(points: number, outer: number, inner: number): string {
  const corners = Array.from({ length: points * 2 }, (_, index): Corner => {
    const radius = index % 2 === 0 ? outer : inner;
    const angle = (index * Math.PI) / points - Math.PI / 2;
    return [12 + radius * Math.cos(angle), 12 + radius * Math.sin(angle)];
  });
  return area(...corners);
}

function rays(x: number, y: number, from: number, to: number, angles: number[], width = 2.4): string {
  return angles
    .map((angle) => (angle * Math.PI) / 180)
    .map((turn) => bar(x + from * Math.cos(turn), y + from * Math.sin(turn), x + to * Math.cos(turn), y + to * Math.sin(turn), width))
    .join("");
}

const cross = (x: number, y: number, reach: number, width = 2.6) =>
  bar(x - reach, y - reach, x + reach, y + reach, width) + bar(x - reach, y + reach, x + reach, y - reach, width);
const dots = (y: number) => disc(5, y, 1.9) + disc(12, y, 1.9) + disc(19, y, 1.9);
const head = (x: number, y: number) => disc(x, y, 2.7);
const person = (x: number, y: number) => head(x, y) + area([x - 3.2, y + 10], [x - 3.2, y + 5], [x - 1.6, y + 3.4], [x + 1.6, y + 3.4], [x + 3.2, y + 5], [x + 3.2, y + 10]);
const camera = box(2, 2.5, 14, 10) + area([16.5, 7.5], [22, 3.5], [22, 11.5]) + hole(9, 7.5, 2.6);
const car = (y: number) =>
  area([1.5, y + 9], [1.5, y + 5], [5, y + 4], [8, y], [16, y], [19, y + 4], [22.5, y + 5], [22.5, y + 9]) + disc(6.5, y + 9.5, 2.3) + disc(17.5, y + 9.5, 2.3);

const PATHS: Record<string, string> = {
  abandoned_object: box(2, 8, 20, 13) + box(7.5, 3, 9, 2.4) + box(7.5, 3, 2.4, 6) + box(14.1, 3, 2.4, 6) + boxHole(2.5, 13, 19, 2),
  air_quality: disc(7, 10, 4.6) + disc(13, 7.5, 5.5) + disc(18, 10.5, 4.2) + box(7, 9, 11, 5.6) + dots(19.5),
  breakdown: area([14.2, 12.8], [11.2, 9.8], [2, 19], [5, 22]) + arc(16.5, 7.5, 4.6, -10, 280, 3.4),
  bunching: box(6, 9, 5.4, 13) + box(12.6, 9, 5.4, 13) + area([1, 1.5], [9, 5], [1, 8.5]) + area([23, 1.5], [15, 5], [23, 8.5]),
  bus_lane_intruder: bar(2.5, 1, 2.5, 23, 2.6) + bar(21.5, 1, 21.5, 23, 2.6) + area([12, 2], [18, 12], [12, 22], [6, 12]) + "M12 7.2 9.2 12 12 16.8 14.8 12Z",
  camera_clock: camera + ring(12, 18.2, 5.4, 1.9) + bar(12, 18.6, 12, 15) + bar(11, 18.2, 15, 18.2, 1.8),
  camera_silent: camera + dots(18.5),
  camera_tampered: camera + cross(12, 18.6, 3.8),
  congestion: [1, 9, 17].map((y) => box(2.5, y, 7.4, 6) + box(14.1, y, 7.4, 6)).join(""),
  crash: star(8, 11, 4.6),
  crowd: person(5.2, 9) + person(18.8, 9) + person(12, 4.2) + box(8.8, 13, 6.4, 6),
  crowded_platform: person(5, 4) + person(12, 4) + person(19, 4) + box(0.5, 16.4, 23, 5),
  debris: area([1, 21.5], [3.5, 14.5], [9, 15.5], [11, 21.5]) + area([12.4, 21.5], [14, 16], [19, 13.5], [23, 21.5]) + area([7, 13], [10.5, 5], [15, 6.5], [16, 12], [11, 14.2]),
  delay: ring(12, 12, 11, 2.8) + bar(12, 13.2, 12, 5.2) + bar(11, 12, 17.4, 15.6),
  door_open: box(3, 1.5, 18, 21) + boxHole(5.6, 4, 12.8, 18.5) + area([5.6, 4], [13, 7.4], [13, 23.4], [5.6, 21]),
  encroachment: bar(14, 1, 14, 6.4) + bar(14, 17.6, 14, 23) + bar(1, 12, 15, 12, 3.6) + area([14, 6.4], [23, 12], [14, 17.6]),
  explosion: disc(12, 12, 4.2) + rays(12, 12, 6.4, 11.6, [0, 45, 90, 135, 180, 225, 270, 315], 2.8),
  fight: head(5, 4.5) + head(19, 4.5) + bar(5, 8, 5, 16, 4) + bar(19, 8, 19, 16, 4) + bar(5, 10, 14.5, 7, 2.6) + bar(19, 11.4, 9.5, 13.4, 2.6) + bar(4.4, 15, 2, 22.5) + bar(5.6, 15, 9, 22.5) + bar(19.6, 15, 22, 22.5) + bar(18.4, 15, 15, 22.5),
  fire: "M12.6 1.5C13.4 6 19 8.6 19 15A7 7 0 0 1 5 15C5 11.4 7 9.6 7.8 6.8 9.6 8 10.2 9.4 10.2 11.2 11.9 9 12.9 5.6 12.6 1.5Z",
  flood: area([12, 1], [21, 8.4], [3, 8.4]) + box(5.6, 8, 12.8, 6) + wave(15.6) + wave(20),
  forbidden_stop: ring(12, 12, 11.2, 2.6) + cross(12, 12, 6.4, 2.8),
  gas_leak: wisp(5, 1.5, 14) + wisp(12, 1.5, 14) + wisp(19, 1.5, 14) + box(1, 16.5, 22, 5) + box(4, 14.6, 2.6, 3) + box(11, 14.6, 2.6, 3) + box(18, 14.6, 2.6, 3),
  gunshot: ring(12, 12, 8.2, 2.4) + disc(12, 12, 2.4) + rays(12, 12, 6.6, 11.8, [0, 90, 180, 270], 2.6),
  illegal_parking: box(5, 1.5, 3.6, 21) + arc(11, 7.8, 4.7, -90, 90, 3.4) + box(8, 1.4, 3.4, 3.4) + box(8, 10.8, 3.4, 3.4) + bar(22, 12.5, 12, 22.5, 2.8),
  noise: area([1.5, 8.5], [6, 8.5], [12, 3], [12, 21], [6, 15.5], [1.5, 15.5]) + arc(11, 12, 5.4, -45, 45) + arc(11, 12, 10, -45, 45),
  off_route: bar(6, 23, 6, 14.5, 3) + bar(6, 10.5, 6, 7.5, 3) + bar(6, 4, 6, 1, 3) + bar(6, 16, 16, 9, 3) + area([12.4, 4.6], [22.5, 4], [18.6, 13.6]),
  person_down: head(4.2, 13) + bar(8, 14, 16.5, 14, 4) + bar(15, 13.4, 22.6, 15) + bar(9, 13, 13, 7.6, 2.4) + box(1, 18.6, 22, 2.6),
  person_in_water: head(12, 8.2) + bar(15, 14, 20.5, 2.5) + bar(9, 14, 3.5, 2.5) + bar(7.4, 13.6, 16.6, 13.6, 3) + wave(16.4) + wave(20.6),
  sensor_fault: bar(1, 13, 6.4, 13, 2.4) + bar(5.6, 13.6, 9.4, 3, 2.4) + bar(9, 3, 14.4, 21.4, 2.4) + bar(14, 21.4, 17.6, 12.4, 2.4) + bar(17, 13, 23, 13, 2.4),
  service_gap: box(1, 9, 5.4, 13) + box(17.6, 9, 5.4, 13) + area([6.6, 5], [11, 1], [11, 9]) + area([17.4, 5], [13, 1], [13, 9]) + bar(10, 5, 14, 5, 2.4),
  silent_vehicle: car(3) + dots(20.5),
  sos: area([6, 17], [6, 12.5], [8, 9.5], [12, 8.2], [16, 9.5], [18, 12.5], [18, 17]) + box(3.5, 18.4, 17, 4) + rays(12, 14, 8.6, 12.8, [-90, -50, -130, -18, -162], 2.4),
  speeding: arc(12, 15, 9.6, 165, 375, 3) + bar(11.2, 16.2, 18, 8.6, 2.8) + disc(12, 15.4, 2.6),
  stopped_train: area([4, 17], [4, 5], [7, 1.5], [17, 1.5], [20, 5], [20, 17]) + boxHole(7, 5, 10, 5) + hole(8, 13.6, 1.5) + hole(16, 13.6, 1.5) + bar(7.5, 17, 4, 23) + bar(16.5, 17, 20, 23) + box(5.4, 19.4, 13.2, 1.8),
  stopped_vehicle: area([12, 1.5], [23, 21], [1, 21]) + "M12 7.2 6.2 17.9 17.8 17.9Z",
  street_vending: area([4, 2], [20, 2], [23, 9], [1, 9]) + disc(4.7, 9, 3.6) + disc(12, 9, 3.6) + disc(19.3, 9, 3.6) + box(3, 12, 2.2, 10.5) + box(18.8, 12, 2.2, 10.5) + box(3, 15.6, 18, 3),
  wrong_way: disc(12, 12, 11) + boxHole(4.4, 9.6, 15.2, 4.8),
};

const GENERAL = area([10, 2], [14, 2], [13.4, 15], [10.6, 15]) + disc(12, 19.6, 2.4);

/** Kinds that have a sign of their own. */
export const DRAWN_KINDS: readonly string[] = Object.keys(PATHS);

/** The sign of a kind, as a path. */
export function glyphOf(kind: string): string {
  return PATHS[kind] ?? GENERAL;
}
