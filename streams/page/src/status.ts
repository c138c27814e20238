/** What the worker tells of itself, as the status bar shows it. Pure. */

export type Health = "good" | "slow" | "bad";

export interface Status {
  eventMs: number | null;
  run: string;
  positionsPerS: number | null;
  lag: number | null;
  sinkDelayS: number | null;
  sinkWaiting: string | null;
  ready: boolean | null;
}

const LAG_SLOW = 5_000;
const LAG_BAD = 100_000;
const DELAY_SLOW_S = 10;
const DELAY_BAD_S = 60;

export const NOTHING_KNOWN: Status = {
  eventMs: null,
  run: "",
  positionsPerS: null,
  lag: null,
  sinkDelayS: null,
  sinkWaiting: null,
  ready: null,
};

interface Told {
  at_ms: number;
  ready: boolean;
  run: string;
  records_per_s: Record<string, number>;
  lag: number;
  sink_delay_s: number | null;
  sink_waiting: string | null;
}

export function readStatus(told: unknown): Status {
  const one = told as Told;
  return {
    eventMs: one.at_ms === 0 ? null : one.at_ms,
    run: one.run,
    positionsPerS: one.records_per_s["vehicle.positions.v1"] ?? null,
    lag: one.lag,
    sinkDelayS: one.sink_delay_s,
    sinkWaiting: one.sink_waiting,
    ready: one.ready,
  };
}

export function lagHealth(lag: number | null): Health {
  return lag === null || lag < LAG_SLOW ? "good" : lag < LAG_BAD ? "slow" : "bad";
}

export function sinkHealth(status: Status): Health {
  if (status.sinkWaiting !== null) return "bad";
  const delayS = status.sinkDelayS;
  return delayS === null || delayS < DELAY_SLOW_S ? "good" : delayS < DELAY_BAD_S ? "slow" : "bad";
}

export function sinkWords(status: Status): string {
  if (status.sinkWaiting !== null) return "does not answer";
  if (status.sinkDelayS === null) return "–";
  return status.sinkDelayS < DELAY_SLOW_S ? "up to date" : `${Math.round(status.sinkDelayS)} s behind`;
}
