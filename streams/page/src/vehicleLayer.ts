/** Ten thousand vehicles on a canvas of their own: the map below is not drawn again when they move. */

import Layer from "ol/layer/Layer";
import type { FrameState } from "ol/Map";

import { VEHICLE } from "./colours.ts";
import { type Fleet, place, type Vehicle } from "./fleet.ts";

const HEADINGS = 48;
const DOTS_ABOVE_M_PX = 30;
const LINE_NAMES_BELOW_M_PX = 2.5;
const CLICK_PX = 12;
const STEP_PX = 0.35;
const TYPICAL_MPS = 20;
const MOST_REST_MS = 200;
const CLASSES = Object.keys(VEHICLE);

export class VehicleLayer extends Layer {
  hidden: ReadonlySet<string> = new Set();
  selectedId: string | null = null;
  private readonly canvas = document.createElement("canvas");
  /** Not the canvas itself: OpenLayers would draw the layers above into it. */
  private readonly container = document.createElement("div");
  private readonly context: CanvasRenderingContext2D;
  private readonly fleet: Fleet;
  private sprites = new Map<string, ImageBitmap>();
  private spritesFor = "";
  private frame: FrameState | null = null;
  private drawnMs = 0;
  private drewLast = false;
  private restMs = 0;

  constructor(fleet: Fleet) {
    super({});
    this.fleet = fleet;
    const context = this.canvas.getContext("2d");
    if (context === null) throw new Error("this browser draws no canvas");
    this.context = context;
    this.container.className = "vehicles";
    this.container.append(this.canvas);
  }

  /** Called by OpenLayers whenever the map is drawn: panning and zooming keep vehicles and map together. */
  override render(frameState: FrameState | null): HTMLElement {
    this.frame = frameState;
    this.draw(performance.now());
    return this.container;
  }

  /** Called on every animation frame: draws when something would be seen to move. */
  animate(nowMs: number): void {
    if (this.frame === null || document.hidden) return;
    const sinceMs = nowMs - this.drawnMs;
    if (this.drewLast) this.restMs = Math.min(MOST_REST_MS, 2 * sinceMs); // half of the time is for everything else
    this.drewLast = false;
    const stepMs = Math.min(1000, (STEP_PX * this.frame.viewState.resolution * 1000) / TYPICAL_MPS);
    if (sinceMs < Math.max(stepMs, this.restMs)) return;
    this.draw(nowMs);
    this.drewLast = true;
  }

  /** The vehicle at a place of the viewport, in CSS pixels. */
  at(x: number, y: number): Vehicle | null {
    if (this.frame === null) return null;
    const nowMs = performance.now();
    let found: Vehicle | null = null;
    let nearest = CLICK_PX;
    for (const one of this.fleet.vehicles.values()) {
      if (this.hidden.has(one.vehicleClass)) continue;
      const [px, py] = this.pixel(one, nowMs);
      const away = Math.hypot(px - x, py - y);
      if (away < nearest) [nearest, found] = [away, one];
    }
    return found;
  }

  private pixel(one: Vehicle, nowMs: number): [number, number] {
    const { size, viewState } = this.frame as FrameState;
    const [x, y] = place(one, nowMs);
    const [centreX = 0, centreY = 0] = viewState.center;
    const [width = 0, height = 0] = size;
    return [width / 2 + (x - centreX) / viewState.resolution, height / 2 - (y - centreY) / viewState.resolution];
  }

  private draw(nowMs: number): void {
    if (this.frame === null) return;
    this.drawnMs = nowMs;
    const { size, pixelRatio, viewState } = this.frame;
    const [width = 0, height = 0] = size;
    const [canvasWidth, canvasHeight] = [Math.round(width * pixelRatio), Math.round(height * pixelRatio)];
    if (this.canvas.width !== canvasWidth || this.canvas.height !== canvasHeight) {
      this.canvas.width = canvasWidth;
      this.canvas.height = canvasHeight;
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    } else {
      this.context.clearRect(0, 0, canvasWidth, canvasHeight);
    }
    const dots = viewState.resolution > DOTS_ABOVE_M_PX;
    const named = viewState.resolution < LINE_NAMES_BELOW_M_PX;
    this.prepareSprites(pixelRatio, viewState.resolution);
    const visible = new Map<string, Vehicle[]>(CLASSES.map((name) => [name, []]));
    for (const one of this.fleet.vehicles.values()) {
      if (!this.hidden.has(one.vehicleClass)) (visible.get(one.vehicleClass) ?? visible.get("UNKNOWN"))?.push(one);
    }
    const context = this.context;
    context.font = `600 ${11 * pixelRatio}px system-ui, "Noto Sans", "DejaVu Sans", sans-serif`;
    context.textBaseline = "middle";
    for (const [name, vehicles] of visible) {
      for (const one of vehicles) {
        const [x, y] = this.pixel(one, nowMs);
        if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
        const heading = dots || one.bearingDeg === null ? -1 : Math.round((one.bearingDeg / 360) * HEADINGS) % HEADINGS;
        const sprite = this.sprite(name, heading, pixelRatio, viewState.resolution);
        context.drawImage(sprite, Math.round(x * pixelRatio - sprite.width / 2), Math.round(y * pixelRatio - sprite.height / 2));
        if (named && one.lineId !== "") this.lineName(one.lineId, x * pixelRatio, y * pixelRatio, pixelRatio);
        if (one.id === this.selectedId) this.ring(x * pixelRatio, y * pixelRatio, pixelRatio);
      }
    }
  }

  private lineName(text: string, x: number, y: number, pixelRatio: number): void {
    this.context.lineWidth = 3 * pixelRatio;
    this.context.strokeStyle = "#0a0f15";
    this.context.fillStyle = "#e8eef5";
    this.context.strokeText(text, x + 11 * pixelRatio, y);
    this.context.fillText(text, x + 11 * pixelRatio, y);
  }

  private ring(x: number, y: number, pixelRatio: number): void {
    this.context.beginPath();
    this.context.arc(x, y, 13 * pixelRatio, 0, 2 * Math.PI);
    this.context.lineWidth = 2 * pixelRatio;
    this.context.strokeStyle = "#ffffff";
    this.context.stroke();
  }

  private prepareSprites(pixelRatio: number, resolution: number): void {
    const wanted = `${pixelRatio}/${scaleAt(resolution)}`;
    if (wanted !== this.spritesFor) this.sprites = new Map();
    this.spritesFor = wanted;
  }

  private sprite(name: string, heading: number, pixelRatio: number, resolution: number): ImageBitmap {
    const key = `${name}/${heading}`;
    const known = this.sprites.get(key);
    if (known !== undefined) return known;
    const made = drawSprite(VEHICLE[name] ?? "#6f7d8c", sizeOf(name) * scaleAt(resolution), heading, pixelRatio);
    this.sprites.set(key, made);
    return made;
  }
}

/** Half of the length of a vehicle in CSS pixels: what runs on a line is larger than what does not. */
function sizeOf(name: string): number {
  return name === "BUS" ? 6.5 : name === "BRT" || name === "METRO" ? 7.5 : name === "COACH" ? 5.5 : 4.5;
}

function scaleAt(resolution: number): number {
  return resolution > 60 ? 0.42 : resolution > DOTS_ABOVE_M_PX ? 0.5 : resolution > 12 ? 0.9 : resolution > 5 ? 1 : 1.25;
}

function drawSprite(colour: string, halfPx: number, heading: number, pixelRatio: number): ImageBitmap {
  const half = halfPx * pixelRatio;
  const size = Math.ceil(half * 2 + 4 * pixelRatio);
  const sprite = new OffscreenCanvas(size, size);
  const context = sprite.getContext("2d") as OffscreenCanvasRenderingContext2D;
  context.translate(sprite.width / 2, sprite.height / 2);
  context.fillStyle = colour;
  context.strokeStyle = "#0a0f15";
  context.lineWidth = pixelRatio;
  context.beginPath();
  if (heading < 0) {
    context.arc(0, 0, half * 0.8, 0, 2 * Math.PI);
  } else {
    context.rotate((heading / HEADINGS) * 2 * Math.PI);
    context.moveTo(0, -half);
    context.lineTo(half * 0.72, half * 0.8);
    context.lineTo(0, half * 0.42);
    context.lineTo(-half * 0.72, half * 0.8);
    context.closePath();
  }
  context.fill();
  context.stroke();
  return sprite.transferToImageBitmap();
}
