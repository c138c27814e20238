/** The worker's records as the page gets them: field for field those of schemas/records.py. */

export type IncidentState = "SUSPECTED" | "CONFIRMED" | "RESOLVED" | "CLOSED" | "DISMISSED" | "WITHDRAWN";
export type Severity = "MINOR" | "MODERATE" | "SEVERE" | "EXTREME";
export type Decision = "ACKNOWLEDGE" | "CONFIRM" | "DISMISS" | "ASSIGN" | "RESOLVE" | "COMMENT";

export interface AffectedLine {
  distance_m: number;
  direction_id: number;
  line_id: string;
  line_name: string;
}

export interface DueTrip {
  due_at_ms: number;
  direction_id: number;
  line_id: string;
  stop_id: string;
  trip_id: string;
}

export interface Evidence {
  at_ms: number;
  latitude_deg: number;
  longitude_deg: number;
  score: number;
  weight: number;
  distance_m: number;
  observation_id: string;
  kind: string;
  device_id: string;
  witness_id: string;
  snapshot_url: string;
}

export interface OperatorAction {
  at_ms: number;
  decision: Decision;
  action_id: string;
  incident_id: string;
  operator: string;
  note: string;
  assignee: string;
}

export interface Incident {
  opened_at_ms: number;
  last_evidence_at_ms: number;
  tick_ms: number;
  latitude_deg: number;
  longitude_deg: number;
  radius_m: number;
  score: number;
  revision: number;
  witnesses: number;
  provisional: boolean;
  exercise: boolean;
  state: IncidentState;
  severity: Severity;
  incident_id: string;
  kind: string;
  rule_id: string;
  unit_name: string;
  place: string;
  merged_into: string;
  replaces: string[];
  lines: AffectedLine[];
  stop_ids: string[];
  due_trips: DueTrip[];
  evidence: Evidence[];
  actions: OperatorAction[];
  assigned_to: string;
}

/** What a rule of the city looks for, and what people call it. */
export interface NamedRule {
  rule_id: string;
  kind: string;
  title: string;
}

export interface IncidentChange {
  tick_ms: number;
  change: string;
  reasons: string[];
  incident: Incident;
}

interface Feature<G, P> {
  type: "Feature";
  geometry: G;
  properties: P;
}

interface Features<G, P> {
  type: "FeatureCollection";
  features: Feature<G, P>[];
}

type Point = { type: "Point"; coordinates: number[] };
type LineString = { type: "LineString"; coordinates: number[][] };
type Area = { type: "Polygon" | "MultiPolygon" | "Point"; coordinates: unknown };

export interface City {
  name: string;
  version: string;
  time_zone: string;
  bounds: { south: number; west: number; north: number; east: number };
  units: Features<Area, { unit_code: string; name: string; kind: string }>;
  lines: Features<LineString, { line_id: string; name: string; mode: string; direction_id: number }>;
  stops: Features<Point, { stop_id: string; name: string }>;
  cameras: Features<Point, { device_id: string; kind: string }>;
  sensors: Features<Point, { device_id: string; kind: string }>;
  venues: Features<Point, { venue_id: string; name: string; kind: string }>;
}

/** id, longitude, latitude, bearing in degrees, speed in m/s, line, class, time: columns of the event `vehicles`. */
export type VehicleRow = [string, number, number, number | null, number | null, string, string, number];
