/** Which incidents there are and which are shown. Pure: no DOM, no clock. */

import type { Decided } from "./api.ts";
import type { Decision, Incident, IncidentChange, IncidentState, Severity } from "./records.ts";
import { titleOf } from "./words.ts";

export type Order = "newest" | "severest";
export type Shown = "" | "OPEN" | IncidentState;

export interface Filter {
  kind: string;
  state: Shown;
  severity: "" | Severity;
  text: string;
}

export const EVERYTHING: Filter = { kind: "", state: "", severity: "", text: "" };
export const SEVERITIES: Severity[] = ["MINOR", "MODERATE", "SEVERE", "EXTREME"];
const OPEN: ReadonlySet<IncidentState> = new Set(["SUSPECTED", "CONFIRMED"]);
const ENDED: ReadonlySet<IncidentState> = new Set(["CLOSED", "DISMISSED", "WITHDRAWN"]);

/** An action that was accepted, or is on its way, and is not in a revision yet. */
export interface Pending extends Decided {
  action_id: string;
  incident_id: string;
  sent_at_ms: number;
}

export function isOpen(incident: Incident): boolean {
  return OPEN.has(incident.state);
}

/** What an operator is likely to decide next: to acknowledge what nobody has decided on; else nothing is likelier. */
export function likelyNext(incident: Incident, pending: Pending[]): Decision | null {
  return isOpen(incident) && incident.actions.length === 0 && pending.length === 0 ? "ACKNOWLEDGE" : null;
}

/** Whether nothing more is to come of it, as a rule. */
export function isEnded(incident: Incident): boolean {
  return ENDED.has(incident.state);
}

/** Whether a revision is news: an unknown incident, or a later revision than the one known. */
export function isNews(known: ReadonlyMap<string, Incident>, incident: Incident): boolean {
  const before = known.get(incident.incident_id);
  return before === undefined || before.revision < incident.revision;
}

/** Whether a change should be called out: something began, was confirmed or became more severe. */
export function isUrgent(before: Incident | undefined, after: Incident): boolean {
  if (!isOpen(after)) return false;
  if (before === undefined || !isOpen(before)) return true;
  if (after.state === "CONFIRMED" && before.state !== "CONFIRMED") return true;
  return SEVERITIES.indexOf(after.severity) > SEVERITIES.indexOf(before.severity);
}

/** Revisions by id, each once, in order. */
export function addRevision(revisions: IncidentChange[], change: IncidentChange): IncidentChange[] {
  if (revisions.some((one) => one.incident.revision === change.incident.revision)) return revisions;
  return [...revisions, change].sort((a, b) => a.incident.revision - b.incident.revision);
}

export function matches(incident: Incident, filter: Filter): boolean {
  if (filter.kind !== "" && incident.kind !== filter.kind) return false;
  if (filter.severity !== "" && SEVERITIES.indexOf(incident.severity) < SEVERITIES.indexOf(filter.severity)) return false;
  if (filter.state === "OPEN" ? !isOpen(incident) : filter.state !== "" && incident.state !== filter.state) return false;
  return filter.text.trim() === "" || searchable(incident).includes(plain(filter.text));
}

/** Open ones before those that are over; within each the newest or the severest first. */
export function ordered(incidents: Iterable<Incident>, order: Order): Incident[] {
  const rank = (one: Incident) => (order === "severest" ? SEVERITIES.indexOf(one.severity) : 0);
  return [...incidents].sort(
    (a, b) =>
      Number(isOpen(b)) - Number(isOpen(a)) ||
      rank(b) - rank(a) ||
      b.opened_at_ms - a.opened_at_ms ||
      a.incident_id.localeCompare(b.incident_id),
  );
}

/** Those not yet in a revision of their incident. */
export function stillPending(pending: Pending[], incident: Incident): Pending[] {
  const folded = new Set(incident.actions.map((action) => action.action_id));
  return pending.filter((one) => one.incident_id !== incident.incident_id || !folded.has(one.action_id));
}

/** Without marks and case, so that "lang" finds "Láng" and "duong" finds "đường". */
export function plain(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replaceAll("đ", "d")
    .normalize("NFD")
    .replaceAll(/\p{Mark}/gu, "");
}

function searchable(one: Incident): string {
  const lines = one.lines.map((line) => `${line.line_id} ${line.line_name}`);
  const devices = one.evidence.map((evidence) => evidence.device_id);
  const words = [one.incident_id, titleOf(one), one.assigned_to, one.place, one.unit_name, one.exercise ? "exercise" : ""];
  return plain([...words, ...lines, ...devices].join(" "));
}
