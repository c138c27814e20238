/** How the city's own geometry is drawn: calm, so that incidents stand out. */

import type { FeatureLike } from "ol/Feature";
import { Point } from "ol/geom";
import { Circle, Fill, RegularShape, Stroke, Style, Text } from "ol/style";

import { MODE, OTHER_MODE } from "./colours.ts";
import { labelsOf } from "./evidenceLabels.ts";
import type { Evidence } from "./records.ts";

const FONT = 'system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
const HALO = new Stroke({ color: "#0a0f15", width: 3 });

function label(text: string, size: number, colour: string, offsetY = 0, weight = 400): Text {
  return new Text({
    text,
    font: `${weight} ${size}px ${FONT}`,
    fill: new Fill({ color: colour }),
    stroke: HALO,
    offsetY,
    overflow: true,
  });
}

const UNIT = new Style({ fill: new Fill({ color: "#111a24" }), stroke: new Stroke({ color: "#26384a", width: 1 }) });

export function unitStyle(feature: FeatureLike): Style {
  void feature;
  return UNIT;
}

/**
 * Names of units, between the scales at which they are of use. Wards without their kind: the map says so by size.
 * at: where the name is written when the unit's middle is out of view; null = in its middle.
 */
export function unitNameStyle(feature: FeatureLike, resolution: number, at: Point | null): Style | undefined {
  if (resolution > 45 || resolution < 1) return undefined;
  const name = String(feature.get("name")).replace(/^(phường|xã) /, "");
  const text = label(name, resolution > 20 ? 11 : 12, "#7d90a5");
  return at === null ? new Style({ text }) : new Style({ text, geometry: at });
}

const LINE_ORDER = ["bus", "brt", "metro"];
const LINE_NAMES_BELOW_M_PX = 5;
const AFFECTED = "rgba(220,233,246,0.8)";
const lineStyles = new Map<string, Style>();

/** A line by its mode, named along its way when close; an affected line is drawn light and wide. */
export function lineStyle(feature: FeatureLike, resolution: number, affected: boolean): Style {
  const mode = String(feature.get("mode"));
  const close = resolution < 12 ? 2 : resolution < 30 ? 1 : 0;
  const named = resolution < LINE_NAMES_BELOW_M_PX ? String(feature.get("line_id")) : "";
  const key = `${mode}/${close}/${affected}/${named}`;
  const known = lineStyles.get(key);
  if (known !== undefined) return known;
  const colour = affected ? AFFECTED : (MODE[mode] ?? OTHER_MODE);
  const wide = (mode === "bus" ? 1 : 2.2) + close * 0.7 + (affected ? 0.8 : 0);
  const made = new Style({
    stroke: new Stroke({ color: colour, width: wide }),
    zIndex: (affected ? 10 : 0) + LINE_ORDER.indexOf(mode),
  });
  if (named !== "") made.setText(lineName(named, affected));
  lineStyles.set(key, made);
  return made;
}

function lineName(text: string, affected: boolean): Text {
  const made = label(text, 11, affected ? "#ffffff" : "#7fb0d4", 0, 600);
  made.setPlacement("line");
  made.setRepeat(260);
  return made;
}

const STOP = new Circle({
  declutterMode: "none",
  radius: 3.2,
  fill: new Fill({ color: "#0a0f15" }),
  stroke: new Stroke({ color: "#9db2c7", width: 1.5 }),
});
const AFFECTED_STOP = new Circle({
  declutterMode: "none",
  radius: 5,
  fill: new Fill({ color: "#f4f7fb" }),
  stroke: new Stroke({ color: "#0a0f15", width: 2 }),
});

export function stopStyle(feature: FeatureLike, resolution: number, affected: boolean): Style | undefined {
  if (resolution > (affected ? 30 : 8)) return undefined;
  const style = new Style({ image: affected ? AFFECTED_STOP : STOP, zIndex: affected ? 1 : 0 });
  if (resolution < 4) style.setText(label(String(feature.get("name")), 11, affected ? "#f4f7fb" : "#9db2c7", 13));
  return style;
}

export function venueStyle(feature: FeatureLike, resolution: number): Style | undefined {
  if (resolution > 7) return undefined;
  return new Style({ text: label(String(feature.get("name")), 11, "#b3a580", 0) });
}

const CAMERA = new RegularShape({
  points: 4,
  radius: 5,
  angle: Math.PI / 4,
  fill: new Fill({ color: "#16212d" }),
  stroke: new Stroke({ color: "#b8c7d6", width: 1.3 }),
});
const SENSOR = new RegularShape({
  points: 3,
  radius: 5,
  fill: new Fill({ color: "#16212d" }),
  stroke: new Stroke({ color: "#b8c7d6", width: 1.3 }),
});

/** A camera is a square, a sensor a triangle. */
export function deviceStyle(camera: boolean): (feature: FeatureLike, resolution: number) => Style | undefined {
  return (feature, resolution) => {
    if (resolution > 40) return undefined;
    const style = new Style({ image: camera ? CAMERA : SENSOR });
    if (resolution < 2) style.setText(label(String(feature.get("device_id")), 10, "#9db2c7", 12));
    return style;
  };
}

const EVIDENCE_LINE = new Style({ stroke: new Stroke({ color: "#ffffff", width: 1.5, lineDash: [4, 4] }) });
const EVIDENCE = new Circle({
  declutterMode: "none",
  radius: 5.5,
  fill: new Fill({ color: "#ffffff" }),
  stroke: new Stroke({ color: "#0a0f15", width: 2 }),
});
const EVIDENCE_PLACE = new Style({ image: EVIDENCE });
const REACH = new Style({
  fill: new Fill({ color: "rgba(255,255,255,0.06)" }),
  stroke: new Stroke({ color: "rgba(255,255,255,0.55)", width: 1, lineDash: [2, 4] }),
});

/** What stands for the selected incident: its reach, its evidence, the way from one to the other, and words beside it. */
export function evidenceStyle(feature: FeatureLike, resolution: number): Style | Style[] {
  const part = feature.get("part");
  if (part === "reach") return REACH;
  if (part === "way") return EVIDENCE_LINE;
  if (part === "evidence") return EVIDENCE_PLACE;
  return resolution < 4 ? wordStyles(feature, resolution) : [];
}

/** Laid out anew at every scale: what overlaps from afar is told apart from close by. */
function wordStyles(feature: FeatureLike, resolution: number): Style[] {
  const [x = 0, y = 0] = feature.get("centre") as number[];
  const places = feature.get("places") as { at: number[]; evidence: Evidence[] }[];
  const spots = places.map(({ at: [east = 0, north = 0], evidence }) => ({
    x: (east - x) / resolution,
    y: (y - north) / resolution,
    evidence,
  }));
  return labelsOf(spots, Boolean(feature.get("exercise"))).map((one) => {
    const text = new Text({
      text: one.words,
      font: `600 12px ${FONT}`,
      fill: new Fill({ color: "#ffffff" }),
      backgroundFill: new Fill({ color: "rgba(10,15,21,0.85)" }),
      padding: [2, 4, 1, 4],
      textAlign: one.side === "west" ? "right" : "left",
      declutterMode: "obstacle",
    });
    return new Style({ geometry: new Point([x + one.x * resolution, y - one.y * resolution]), text });
  });
}
