/** Records in words and figures for people. Pure: the time is an argument. */

import type { AffectedLine, Decision, Incident, IncidentState, NamedRule, OperatorAction, Severity } from "./records.ts";

export const STATE_WORDS: Record<IncidentState, string> = {
  SUSPECTED: "suspected",
  CONFIRMED: "confirmed",
  RESOLVED: "resolved",
  CLOSED: "closed",
  DISMISSED: "dismissed",
  WITHDRAWN: "withdrawn",
};

export const SEVERITY_WORDS: Record<Severity, string> = {
  MINOR: "minor",
  MODERATE: "moderate",
  SEVERE: "severe",
  EXTREME: "extreme",
};

export const DECISION_WORDS: Record<Decision, string> = {
  ACKNOWLEDGE: "acknowledged",
  CONFIRM: "confirmed",
  DISMISS: "dismissed",
  ASSIGN: "assigned",
  RESOLVE: "resolved",
  COMMENT: "commented",
};

/** What was done: "dismissed", "assigned to Ward 7". */
export function doneWords(one: Pick<OperatorAction, "decision" | "assignee">): string {
  return one.assignee === "" ? DECISION_WORDS[one.decision] : `${DECISION_WORDS[one.decision]} to ${one.assignee}`;
}

export const CLASS_WORDS: Record<string, string> = {
  BUS: "bus",
  BRT: "BRT",
  METRO: "metro",
  TAXI: "taxi",
  RIDE_HAILING: "ride-hailing",
  COACH: "coach",
  RENTAL: "rental",
  OTHER: "other",
  UNKNOWN: "unknown class",
};

let titles: ReadonlyMap<string, string> = new Map();

/** Take note of what the city's rules call incidents; before that, and without a rule, they are called by their kind. */
export function nameKinds(rules: NamedRule[]): void {
  titles = new Map(rules.map((one) => [one.rule_id, one.title]));
}

/** What the rule that made an incident calls it. */
export function titleOf(incident: Pick<Incident, "kind" | "rule_id">): string {
  return titles.get(incident.rule_id) ?? plainWords(incident.kind);
}

/** A kind of incidents: as the rule of that name says, or "wrong_way" -> "Wrong way". */
export function kindWords(kind: string): string {
  return titles.get(kind) ?? plainWords(kind);
}

function plainWords(kind: string): string {
  const text = kind.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What one observation claims: "camera_crash" -> "Crash on camera", "hard_stop" -> "Hard stop". */
export function claimWords(kind: string): string {
  return kind.startsWith("camera_") ? `${plainWords(kind.slice("camera_".length))} on camera` : plainWords(kind);
}

/** Ids of exercises by their last part: "exercise:crash-1251:microphone-1" -> "microphone-1". */
export function shortIds(text: string): string {
  return text.replaceAll(/\bexercise:(?:[^\s:]+:)*(?=[^\s:])/g, "");
}

/** A span: "12 s", "4 min", "3 h 05 min", "2 d". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d`;
}

/** When something is due: "in 4 min", "now", "2 min ago". */
export function due(ms: number): string {
  if (Math.abs(ms) < 30_000) return "now";
  return ms > 0 ? `in ${span(ms)}` : `${span(-ms)} ago`;
}

/** A function from epoch milliseconds to the city's own "15:04:05". */
export function clockOf(timeZone: string): (ms: number) => string {
  const form = new Intl.DateTimeFormat("en-GB", {
    timeZone: timeZone || "UTC",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  return (ms) => form.format(ms);
}

/** One entry a line: its directions joined, the nearest distance. */
export interface LineWords {
  line_id: string;
  name: string;
  direction: string;
  distance_m: number;
}

/** Join the directions of each line: 0 is "→", 1 is "←", both are "⇄"; nearest line first. */
export function joinDirections(lines: AffectedLine[]): LineWords[] {
  const joined = new Map<string, { one: AffectedLine; directions: Set<number>; distance_m: number }>();
  for (const one of lines) {
    const entry = joined.get(one.line_id) ?? { one, directions: new Set<number>(), distance_m: one.distance_m };
    entry.directions.add(one.direction_id);
    entry.distance_m = Math.min(entry.distance_m, one.distance_m);
    joined.set(one.line_id, entry);
  }
  return [...joined.values()]
    .map(({ one, directions, distance_m }) => ({
      line_id: one.line_id,
      name: one.line_name,
      direction: directions.has(0) && directions.has(1) ? "⇄" : directions.has(0) ? "→" : directions.has(1) ? "←" : "",
      distance_m,
    }))
    .sort((a, b) => a.distance_m - b.distance_m || a.line_id.localeCompare(b.line_id));
}

export const COMPASS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];

/** "NE" for 45. */
export function compass(bearingDeg: number): string {
  return COMPASS[Math.round((((bearingDeg % 360) + 360) % 360) / 45) % 8] ?? "";
}
