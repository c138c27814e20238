/** The map: the city's geometry, the vehicles, the incidents. Knows nothing of the rest of the page. */

import Feature from "ol/Feature";
import OlMap from "ol/Map";
import View from "ol/View";
import { defaults as defaultControls, ScaleLine } from "ol/control";
import { buffer, containsCoordinate, createEmpty, type Extent, getCenter } from "ol/extent";
import GeoJSON from "ol/format/GeoJSON";
import { Circle as CircleGeometry, LineString, MultiPoint, Point } from "ol/geom";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import VectorLayer from "ol/layer/Vector";
import { transformExtent } from "ol/proj";
import VectorSource from "ol/source/Vector";
import { Fill, Icon, Stroke, Style, Text } from "ol/style";

import { Fleet, place, project, type Vehicle } from "./fleet.ts";
import { isOpen, SEVERITIES } from "./incidents.ts";
import { deviceStyle, evidenceStyle, lineStyle, stopStyle, unitNameStyle, unitStyle, venueStyle } from "./mapStyles.ts";
import { markerOf } from "./markers.ts";
import type { City, Evidence, Incident } from "./records.ts";
import { VehicleLayer } from "./vehicleLayer.ts";

const AROUND_M = 800;
const NEAREST_M_PX = 1.7;
const FURTHEST_M_PX = 3.4; // names of stops are written up to here
const CLICK_PX = 18;
const EVIDENCE_WITHIN_PX = 120;
const VEHICLE_RESOLUTION = 2.4;

const UNIT_FILLS_VIEW_M_PX = 5;
const NAME_BELOW_EDGE_PX = 40;

const FEWEST_STOPS = 20;
const GEOMETRY = ["units", "lines", "stops", "cameras", "sensors", "venues"] as const;

export type Layers = Record<"cameras" | "sensors" | "stops" | "venues", boolean>;

export interface MapEvents {
  onIncident: (incidentId: string) => void;
  onVehicle: (vehicle: Vehicle | null) => void;
  onMoved: () => void;
}

export class CityMap {
  readonly fleet = new Fleet();
  readonly vehicles = new VehicleLayer(this.fleet);
  private readonly sources = sourcesOf(GEOMETRY);
  private readonly evidence = new VectorSource();
  private readonly incidents = new VectorSource();
  private readonly map: OlMap;
  private readonly target: HTMLElement;
  private readonly layers: Record<string, VectorLayer>;
  private cityExtent: Extent = createEmpty();
  private selected: Incident | null = null;
  private followed: string | null = null;
  private following = false;

  constructor(target: HTMLElement, events: MapEvents) {
    this.target = target;
    this.layers = this.makeLayers();
    const { units, unitNames, lines, stops, cameras, sensors, venues, evidence, incidents } = this.layers;
    this.map = new OlMap({
      target,
      layers: [units, lines, unitNames, venues, stops, cameras, sensors, this.vehicles, evidence, incidents].filter(
        (layer) => layer !== undefined,
      ),
      view: new View({ center: [0, 0], zoom: 2, enableRotation: false, maxZoom: 19 }),
      controls: defaultControls({ rotate: false, attribution: false, zoom: false }).extend([new ScaleLine()]),
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
    });
    this.listen(events);
    const animate = (nowMs: number) => {
      this.vehicles.animate(nowMs);
      this.keepInView(nowMs);
      requestAnimationFrame(animate);
    };
    requestAnimationFrame(animate);
  }

  showCity(city: City): void {
    const form = new GeoJSON({ featureProjection: "EPSG:3857" });
    for (const name of GEOMETRY) {
      this.sources[name].clear(true);
      this.sources[name].addFeatures(form.readFeatures(city[name]) as Feature[]);
    }
    const { south, west, north, east } = city.bounds;
    const bounds = transformExtent([west, south, east, north], "EPSG:4326", "EPSG:3857");
    this.cityExtent = mostOf(city.stops.features.map((stop) => stop.geometry.coordinates)) ?? bounds;
    this.fit();
  }

  /** Show the part of the city where most stops are. */
  fit(): void {
    this.map.getView().fit(buffer(this.cityExtent, 1000), { padding: [16, 16, 16, 16], duration: this.duration() });
  }

  zoom(steps: number): void {
    const view = this.map.getView();
    view.animate({ zoom: (view.getZoom() ?? 10) + steps, duration: this.duration() });
  }

  showIncidents(incidents: Iterable<Incident>): void {
    this.incidents.clear(true);
    this.incidents.addFeatures([...incidents].map((one) => incidentFeature(one)));
    this.map.render();
  }

  /** Mark one incident, its evidence, its lines and stops; null = none. moves: bring it into view. */
  select(incident: Incident | null, moves: boolean): void {
    this.selected = incident;
    this.evidence.clear(true);
    if (incident !== null) this.evidence.addFeatures(evidenceFeatures(incident));
    for (const name of ["lines", "stops", "incidents"]) this.layers[name]?.changed();
    if (incident === null || !moves) return;
    this.goTo(project(incident.longitude_deg, incident.latitude_deg), resolutionFor(incident, this.map.getSize()));
  }

  /** Mark one vehicle; null = none. follows: keep it in the middle. */
  selectVehicle(vehicleId: string | null, follows: boolean): void {
    this.followed = vehicleId;
    this.following = follows && vehicleId !== null;
    this.vehicles.selectedId = vehicleId;
    const one = this.fleet.vehicles.get(vehicleId ?? "");
    if (this.following && one !== undefined) this.goTo(place(one, performance.now()), VEHICLE_RESOLUTION);
    this.map.render();
  }

  showLayers(layers: Layers): void {
    for (const [name, shown] of Object.entries(layers)) this.layers[name]?.setVisible(shown);
  }

  hideClasses(classes: ReadonlySet<string>): void {
    this.vehicles.hidden = classes;
    this.map.render();
  }

  private goTo(centre: number[], finest: number): void {
    const view = this.map.getView();
    view.cancelAnimations();
    const resolution = Math.min(view.getResolution() ?? finest, finest);
    view.animate({ center: centre, resolution, duration: this.duration() });
  }

  private keepInView(nowMs: number): void {
    const one = this.fleet.vehicles.get(this.followed ?? "");
    if (!this.following || one === undefined || this.map.getView().getAnimating()) return;
    this.map.getView().setCenter(place(one, nowMs));
  }

  private duration(): number {
    return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 350;
  }

  private listen(events: MapEvents): void {
    this.map.on("singleclick", (event) => {
      const hit = this.incidentAt(event.pixel);
      if (hit !== null) return events.onIncident(hit);
      events.onVehicle(this.vehicles.at(event.pixel[0] ?? 0, event.pixel[1] ?? 0));
    });
    this.map.on("pointermove", (event) => {
      if (event.dragging) return;
      const [x = 0, y = 0] = event.pixel;
      const hit = this.incidentAt(event.pixel) !== null || this.vehicles.at(x, y) !== null;
      this.target.style.cursor = hit ? "pointer" : "";
    });
    this.map.on("pointerdrag", () => {
      this.following = false;
      events.onMoved();
    });
  }

  /** The incident whose sign is at a place of the viewport, the topmost of several. */
  private incidentAt([x = 0, y = 0]: number[]): string | null {
    const hit = this.incidents.getFeatures().filter((feature) => {
      const [px = 0, py = 0] = this.map.getPixelFromCoordinate((feature.getGeometry() as Point).getCoordinates()) ?? [];
      return Math.hypot(px - x, py - y) < CLICK_PX;
    });
    const [top] = hit.sort((a, b) => this.rank(b.get("incident") as Incident) - this.rank(a.get("incident") as Incident));
    return top === undefined ? null : String(top.getId());
  }

  /** The selected one above all, open ones above those that are over, the severest above the others. */
  private rank(one: Incident): number {
    const selected = one.incident_id === this.selected?.incident_id;
    return (selected ? 100 : 0) + (isOpen(one) ? 10 : 0) + SEVERITIES.indexOf(one.severity);
  }

  private makeLayers(): Record<string, VectorLayer> {
    const affectedLine = (id: unknown) => this.selected?.lines.some((line) => line.line_id === id) ?? false;
    const affectedStop = (id: unknown) => this.selected?.stop_ids.includes(String(id)) ?? false;
    const layer = (name: (typeof GEOMETRY)[number], style: ConstructorParameters<typeof VectorLayer>[0]) =>
      new VectorLayer({ source: this.sources[name], updateWhileAnimating: true, updateWhileInteracting: true, ...style });
    return {
      units: layer("units", { style: unitStyle }),
      lines: layer("lines", {
        style: (one, at) => lineStyle(one, at, affectedLine(one.get("line_id"))),
        declutter: "names",
      }),
      unitNames: layer("units", { style: (one, at) => unitNameStyle(one, at, this.nameOutOfMiddle(one as Feature, at)), declutter: "names" }),
      stops: layer("stops", { style: (one, at) => stopStyle(one, at, affectedStop(one.get("stop_id"))), declutter: "names" }),
      venues: layer("venues", { style: venueStyle, declutter: "names" }),
      cameras: layer("cameras", { style: deviceStyle(true), visible: false }),
      sensors: layer("sensors", { style: deviceStyle(false), visible: false }),
      evidence: new VectorLayer({ source: this.evidence, style: evidenceStyle, className: "evidence", declutter: "names" }),
      incidents: new VectorLayer({
        source: this.incidents,
        className: "incidents",
        declutter: "names", // nothing is written where a sign stands
        style: (feature) => this.incidentStyle(feature.get("incident") as Incident),
        updateWhileAnimating: true,
        updateWhileInteracting: true,
      }),
    };
  }

  /** Close by, a unit fills the view and its middle is elsewhere: its name is then written near the view's upper edge. */
  private nameOutOfMiddle(unit: Feature, resolution: number): Point | null {
    const ground = unit.getGeometry();
    if (resolution > UNIT_FILLS_VIEW_M_PX || ground === undefined) return null;
    const view = this.map.getView().calculateExtent(this.map.getSize());
    const [x = 0] = getCenter(view);
    const at = [x, (view[3] ?? 0) - NAME_BELOW_EDGE_PX * resolution];
    const middle = getCenter(ground.getExtent());
    return containsCoordinate(view, middle) || !ground.intersectsCoordinate(at) ? null : new Point(at);
  }

  private incidentStyle(one: Incident): Style {
    const selected = one.incident_id === this.selected?.incident_id;
    const pixelRatio = Math.ceil(window.devicePixelRatio);
    const text = one.exercise ? exerciseMark() : undefined;
    return new Style({
      image: new Icon({
        img: markerOf(one, selected, pixelRatio),
        scale: 1 / pixelRatio,
        opacity: isOpen(one) ? 1 : 0.6,
        declutterMode: "obstacle",
      }),
      zIndex: this.rank(one),
      ...(text === undefined ? {} : { text }),
    });
  }
}

/** So close that streets and stops are named, and so far that AROUND_M are seen on every side, and all evidence. */
function resolutionFor(incident: Incident, [width = 1000, height = 1000]: number[] = []): number {
  const furthestM = Math.max(0, ...incident.evidence.map((one) => one.distance_m));
  const around = (2 * AROUND_M * stretchAt(incident.latitude_deg)) / Math.max(1, Math.min(width, height));
  return Math.min(FURTHEST_M_PX, Math.max(NEAREST_M_PX, around, furthestM / EVIDENCE_WITHIN_PX));
}

/** How much wider Web Mercator is than the ground. */
function stretchAt(latitudeDeg: number): number {
  return 1 / Math.cos((latitudeDeg * Math.PI) / 180);
}

function exerciseMark(): Text {
  return new Text({
    text: "EXERCISE",
    font: '700 10.5px system-ui, "Noto Sans", "DejaVu Sans", sans-serif',
    fill: new Fill({ color: "#0a0f15" }),
    backgroundFill: new Fill({ color: "#ffffff" }),
    backgroundStroke: new Stroke({ color: "#0a0f15", width: 1 }),
    padding: [2, 4, 1, 4],
    offsetY: 28,
    declutterMode: "obstacle",
  });
}

/** The rectangle around all but the outermost tenth of the points on each side; null when there are too few. */
function mostOf(points: number[][]): Extent | null {
  if (points.length < FEWEST_STOPS) return null;
  const projected = points.map(([lon = 0, lat = 0]) => project(lon, lat));
  const cut = (axis: 0 | 1) => {
    const sorted = projected.map((point) => point[axis]).sort((a, b) => a - b);
    const tenth = Math.floor(sorted.length / 10);
    return [sorted[tenth] ?? 0, sorted[sorted.length - 1 - tenth] ?? 0] as const;
  };
  const [west, east] = cut(0);
  const [south, north] = cut(1);
  return [west, south, east, north];
}

function sourcesOf<Name extends string>(names: readonly Name[]): Record<Name, VectorSource> {
  return Object.fromEntries(names.map((name) => [name, new VectorSource()])) as Record<Name, VectorSource>;
}

function incidentFeature(one: Incident): Feature {
  const feature = new Feature({ geometry: new Point(project(one.longitude_deg, one.latitude_deg)), incident: one });
  feature.setId(one.incident_id);
  return feature;
}

function evidenceFeatures(incident: Incident): Feature[] {
  const centre = project(incident.longitude_deg, incident.latitude_deg);
  const reach = new Feature({ geometry: new CircleGeometry(centre, incident.radius_m * stretchAt(incident.latitude_deg)), part: "reach" });
  const places = [...byPlace(incident.evidence).values()].map((evidence) => ({
    at: project(evidence[0].longitude_deg, evidence[0].latitude_deg),
    evidence,
  }));
  const parts = places.flatMap(({ at }) => [
    new Feature({ geometry: new LineString([centre, at]), part: "way" }),
    new Feature({ geometry: new Point(at), part: "evidence" }),
  ]);
  const all = new MultiPoint([centre, ...places.map(({ at }) => at)]);
  const words = new Feature({ geometry: all, part: "words", centre, places, exercise: incident.exercise });
  return [reach, ...parts, words];
}

/** Cameras and microphones on one pole say what they say at one place. */
function byPlace(evidence: Evidence[]): Map<string, [Evidence, ...Evidence[]]> {
  const places = new Map<string, [Evidence, ...Evidence[]]>();
  for (const one of evidence) {
    const key = `${one.longitude_deg.toFixed(5)},${one.latitude_deg.toFixed(5)}`;
    const there = places.get(key);
    if (there === undefined) places.set(key, [one]);
    else there.push(one);
  }
  return places;
}
