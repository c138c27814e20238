/** The stream of the worker: incidents without a gap, vehicles and status as they are now. */

import type { Incident, IncidentChange, VehicleRow } from "./records.ts";
import { readStatus, type Status } from "./status.ts";

const SILENT_MS = 12_000;
const RETRY_MS = 2_000;
const WATCH_MS = 1_000;

export interface StreamEvents {
  onOpen: () => void;
  onLost: (sinceMs: number) => void;
  /** The current list, at the first time or where what was missed cannot be told any more. */
  onReset: (incidents: Incident[]) => void;
  onChange: (change: IncidentChange) => void;
  onVehicles: (rows: VehicleRow[]) => void;
  onStatus: (status: Status) => void;
}

/**
 * An EventSource that is opened again when the browser gives up or nothing comes any more. It goes on behind the last
 * incident told: the browser's own way is the header Last-Event-ID, ours is ?after=.
 */
export class Stream {
  private source: EventSource | null = null;
  private heardMs = 0;
  private lastEventId = "";
  private lostSinceMs: number | null = null;
  private retryAtMs = 0;
  private readonly events: StreamEvents;

  constructor(events: StreamEvents) {
    this.events = events;
    this.open();
    setInterval(() => this.watch(), WATCH_MS);
  }

  private open(): void {
    this.source?.close();
    this.heardMs = Date.now();
    const source = new EventSource(`api/stream${this.lastEventId === "" ? "" : `?after=${this.lastEventId}`}`);
    this.source = source;
    source.onopen = () => {
      this.heard();
      this.events.onOpen();
    };
    source.onerror = () => {
      this.lost();
      if (source.readyState === EventSource.CLOSED) this.retryAtMs = Date.now() + RETRY_MS;
    };
    this.on<IncidentChange>(source, "incident", (change) => this.events.onChange(change));
    this.on<{ vehicles: VehicleRow[] }>(source, "vehicles", (told) => this.events.onVehicles(told.vehicles));
    this.on<unknown>(source, "status", (told) => this.events.onStatus(readStatus(told)));
    this.on<{ incidents: Incident[] }>(source, "reset", (told) => this.events.onReset(told.incidents));
  }

  private on<T>(source: EventSource, name: string, use: (told: T) => void): void {
    source.addEventListener(name, (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      this.heard();
      if (lastEventId !== "") this.lastEventId = lastEventId;
      use(JSON.parse(data) as T);
    });
  }

  private heard(): void {
    this.heardMs = Date.now();
    this.lostSinceMs = null;
    this.retryAtMs = 0;
  }

  private lost(): void {
    this.lostSinceMs ??= this.heardMs;
    this.events.onLost(this.lostSinceMs);
  }

  private watch(): void {
    const nowMs = Date.now();
    if (this.retryAtMs !== 0 && nowMs >= this.retryAtMs) {
      this.retryAtMs = 0;
      this.open();
    } else if (this.source?.readyState === EventSource.OPEN && nowMs - this.heardMs > SILENT_MS) {
      this.lost();
      this.open();
    }
  }
}
