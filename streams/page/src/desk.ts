/** The operator's desk: everything the page knows, one listener, no DOM. The map gets vehicles past it. */

import { type Decided, fetchChanges, fetchCity, fetchRules, sendAction } from "./api.ts";
import { addRevision, isEnded, isNews, isUrgent, type Pending, stillPending } from "./incidents.ts";
import type { City, Incident, IncidentChange, NamedRule, VehicleRow } from "./records.ts";
import { NOTHING_KNOWN, type Status } from "./status.ts";
import { Stream } from "./stream.ts";
import { nameKinds, STATE_WORDS, titleOf } from "./words.ts";

const NEW_MS = 12_000;
const RETRY_MS = 3_000;
const SHOWN_AFTER_END_MS = 3_600_000; // as long as the worker keeps them in its list

export interface Announcement {
  text: string;
  urgent: boolean;
}

export class Desk {
  city: City | null = null;
  /** Mode by line id. */
  modes = new Map<string, string>();
  rules: NamedRule[] = [];
  incidents = new Map<string, Incident>();
  /** Whether the worker told its incidents yet: before, an empty list says nothing. */
  known = false;
  revisions: IncidentChange[] = [];
  selectedId: string | null = null;
  pending: Pending[] = [];
  mistakes = new Map<string, string>();
  status: Status = NOTHING_KNOWN;
  statusAtMs = 0;
  connected = false;
  lostSinceMs: number | null = null;
  trouble = "";
  announcement: Announcement = { text: "", urgent: false };
  /** When each incident last changed before the operator's eyes, by this machine's clock. */
  readonly changedMs = new Map<string, number>();
  onChange: () => void = () => undefined;
  onIncidents: () => void = () => undefined;
  onVehicles: (rows: VehicleRow[]) => void = () => undefined;

  start(): void {
    void this.loadCity();
    new Stream({
      onOpen: () => this.update(() => ([this.connected, this.lostSinceMs] = [true, null])),
      onLost: (sinceMs) => this.update(() => ([this.connected, this.lostSinceMs] = [false, sinceMs])),
      onReset: (incidents) => this.startOver(incidents),
      onChange: (change) => this.take(change),
      onVehicles: (rows) => this.onVehicles(rows),
      onStatus: (status) => this.update(() => ([this.status, this.statusAtMs] = [status, Date.now()])),
    });
  }

  /** The city's time now: the last one told and the seconds since. */
  nowMs(): number {
    const { eventMs } = this.status;
    return eventMs === null ? Date.now() : eventMs + (Date.now() - this.statusAtMs);
  }

  select(incidentId: string | null): void {
    this.update(() => {
      this.selectedId = incidentId;
      this.revisions = [];
    });
    if (incidentId !== null) void this.loadRevisions(incidentId);
  }

  /** Send a decision. It counts as sent until a revision carries it. */
  async decide(incidentId: string, decided: Decided): Promise<boolean> {
    this.mistakes.delete(incidentId);
    const under_way = { action_id: "", incident_id: incidentId, ...decided, sent_at_ms: Date.now() };
    this.update(() => (this.pending = [...this.pending, under_way]));
    try {
      const action_id = await sendAction(incidentId, decided);
      const sent = { ...under_way, action_id };
      this.update(() => {
        this.pending = this.pending.map((one) => (one === under_way ? sent : one));
        const incident = this.incidents.get(incidentId);
        if (incident !== undefined) this.pending = stillPending(this.pending, incident);
      });
      return true;
    } catch (error) {
      this.update(() => {
        this.pending = this.pending.filter((one) => one !== under_way);
        this.mistakes.set(incidentId, (error as Error).message);
      });
      return false;
    }
  }

  private async loadCity(): Promise<void> {
    try {
      const [city, rules] = await Promise.all([fetchCity(), fetchRules()]);
      nameKinds(rules);
      const modes = city.lines.features.map((line) => [line.properties.line_id, line.properties.mode] as const);
      this.update(() => ([this.city, this.rules, this.modes, this.trouble] = [city, rules, new Map(modes), ""]));
    } catch (error) {
      this.update(() => (this.trouble = (error as Error).message));
      setTimeout(() => void this.loadCity(), RETRY_MS);
    }
  }

  private startOver(incidents: Incident[]): void {
    this.update(() => {
      const before = this.incidents;
      this.incidents = new Map();
      for (const incident of incidents) this.takeIncident(incident, before.get(incident.incident_id));
      this.known = true;
      this.onIncidents();
    });
    if (this.selectedId !== null) void this.loadRevisions(this.selectedId);
  }

  private async loadRevisions(incidentId: string): Promise<void> {
    try {
      const changes = await fetchChanges(incidentId);
      if (this.selectedId !== incidentId) return;
      this.update(() => (this.revisions = changes.reduce(addRevision, this.revisions)));
    } catch (error) {
      this.update(() => this.mistakes.set(incidentId, (error as Error).message));
    }
  }

  private take(change: IncidentChange): void {
    this.update(() => {
      const { incident } = change;
      if (incident.incident_id === this.selectedId) this.revisions = addRevision(this.revisions, change);
      if (!isNews(this.incidents, incident)) return;
      this.takeIncident(incident, this.incidents.get(incident.incident_id));
      this.forget(change.tick_ms);
      this.onIncidents();
    });
  }

  private forget(nowMs: number): void {
    for (const [id, one] of this.incidents) {
      if (!isEnded(one) || one.tick_ms > nowMs - SHOWN_AFTER_END_MS || id === this.selectedId) continue;
      this.incidents.delete(id);
      this.changedMs.delete(id);
    }
  }

  private takeIncident(incident: Incident, before: Incident | undefined): void {
    this.incidents.set(incident.incident_id, incident);
    this.pending = stillPending(this.pending, incident);
    if (!this.known || before?.revision === incident.revision) return;
    this.changedMs.set(incident.incident_id, Date.now());
    if (isUrgent(before, incident)) this.announce(incident, before === undefined);
  }

  private announce(incident: Incident, isNew: boolean): void {
    const exercise = incident.exercise ? "Exercise: " : "";
    const what = `${titleOf(incident)} ${isNew ? "new, " : ""}${STATE_WORDS[incident.state]}`;
    const urgent = incident.state === "CONFIRMED" && !incident.exercise;
    this.announcement = { text: `${exercise}${what}: ${incident.place}`, urgent };
  }

  private update(change: () => unknown): void {
    change();
    this.onChange();
  }
}

/** Whether an incident changed so lately that it is still lit up. */
export function isFresh(desk: Desk, incidentId: string): boolean {
  return Date.now() - (desk.changedMs.get(incidentId) ?? -NEW_MS) < NEW_MS;
}
