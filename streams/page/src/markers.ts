/** Incidents as signs on the map. Suspected: hollow and dashed; confirmed: filled; over: faded; exercise: a striped square. */

import { INK, OVER, SEVERITY } from "./colours.ts";
import { GLYPH_SCALE, glyphOf } from "./glyphs.ts";
import { isOpen } from "./incidents.ts";
import type { Incident } from "./records.ts";

const SIZE_PX = 36;
const made = new Map<string, HTMLCanvasElement>();

/** What a marker depends on. */
function keyOf(one: Incident, selected: boolean, pixelRatio: number): string {
  return [one.kind, one.state, one.severity, one.exercise, one.provisional, selected, pixelRatio].join("/");
}

/** The sign of an incident, pixelRatio times as large as it is shown. */
export function markerOf(one: Incident, selected: boolean, pixelRatio: number): HTMLCanvasElement {
  const key = keyOf(one, selected, pixelRatio);
  const known = made.get(key);
  if (known !== undefined) return known;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round((SIZE_PX + 12) * pixelRatio);
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.scale(pixelRatio, pixelRatio);
  context.translate(SIZE_PX / 2 + 6, SIZE_PX / 2 + 6);
  drawMarker(context, one, selected);
  made.set(key, canvas);
  return canvas;
}

function drawMarker(context: CanvasRenderingContext2D, one: Incident, selected: boolean): void {
  const colour = isOpen(one) ? SEVERITY[one.severity] : OVER;
  const radius = isOpen(one) ? 14 : 10;
  const filled = one.state === "CONFIRMED";
  if (selected) {
    outline(context, one.exercise, radius + 5);
    context.lineWidth = 2.5;
    context.strokeStyle = "#ffffff";
    context.stroke();
  }
  outline(context, one.exercise, radius + 2);
  context.fillStyle = INK;
  context.fill();
  outline(context, one.exercise, radius);
  if (filled) {
    context.fillStyle = colour;
    context.fill();
  }
  if (one.exercise) stripes(context, radius, filled ? INK : colour);
  outline(context, one.exercise, radius);
  context.lineWidth = 2.5;
  context.strokeStyle = colour;
  context.setLineDash(filled || !isOpen(one) ? [] : [5, 3.5]);
  context.stroke();
  context.setLineDash([]);
  drawGlyph(context, one.kind, filled ? INK : colour, one.exercise, filled ? colour : INK);
  if (one.state === "DISMISSED") strike(context, radius, colour);
}

function outline(context: CanvasRenderingContext2D, square: boolean, radius: number): void {
  context.beginPath();
  if (square) context.rect(-radius, -radius, radius * 2, radius * 2);
  else context.arc(0, 0, radius, 0, 2 * Math.PI);
}

function stripes(context: CanvasRenderingContext2D, radius: number, colour: string): void {
  context.save();
  outline(context, true, radius);
  context.clip();
  context.strokeStyle = colour;
  context.globalAlpha = 0.55;
  context.lineWidth = 3;
  context.beginPath();
  for (let x = -3 * radius; x < 3 * radius; x += 8) {
    context.moveTo(x, radius);
    context.lineTo(x + 2 * radius, -radius);
  }
  context.stroke();
  context.restore();
}

function drawGlyph(context: CanvasRenderingContext2D, kind: string, colour: string, backed: boolean, back: string): void {
  if (backed) {
    context.beginPath();
    context.arc(0, 0, 9.5, 0, 2 * Math.PI);
    context.fillStyle = back;
    context.fill();
  }
  context.fillStyle = colour;
  context.save();
  context.scale(GLYPH_SCALE, GLYPH_SCALE);
  context.translate(-12, -12);
  context.fill(new Path2D(glyphOf(kind)));
  context.restore();
}

function strike(context: CanvasRenderingContext2D, radius: number, colour: string): void {
  context.beginPath();
  context.moveTo(-radius * 0.7, radius * 0.7);
  context.lineTo(radius * 0.7, -radius * 0.7);
  context.lineWidth = 2.5;
  context.strokeStyle = colour;
  context.stroke();
}
