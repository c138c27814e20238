/** What the worker tells of itself, as the status bar shows it. Pure. */

/** unknown: nothing was told of it yet, or not any more. */
export type Health = "unknown" | "good" | "slow" | "bad";

export interface Status {
  eventMs: number | null;
  run: string;
  positionsPerS: number | null;
  lag: number | null;
  sinkDelayS: number | null;
  /** What the worker waits for, in words. */
  troubles: string[];
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
  troubles: [],
};

interface Told {
  event_time_ms: number | null;
  run: string;
  rates: Record<string, number>;
  lag: number;
  sink_delay_s: number | null;
  troubles: string[];
}

export function readStatus(told: unknown): Status {
  const one = told as Told;
  return {
    eventMs: one.event_time_ms,
    run: one.run,
    positionsPerS: positionsPerS(one.rates),
    lag: one.lag,
    sinkDelayS: one.sink_delay_s,
    troubles: one.troubles,
  };
}

function positionsPerS(rates: Record<string, number>): number | null {
  const told = [rates["vehicle.positions.v1"], rates["vehicle.frames.v1"]].filter((rate) => rate !== undefined);
  return told.length === 0 ? null : told.reduce((sum, rate) => sum + rate, 0);
}

export function lagHealth(lag: number | null): Health {
  if (lag === null) return "unknown";
  return lag < LAG_SLOW ? "good" : lag < LAG_BAD ? "slow" : "bad";
}

export function sinkHealth({ sinkDelayS }: Status): Health {
  if (sinkDelayS === null) return "unknown";
  return sinkDelayS < DELAY_SLOW_S ? "good" : sinkDelayS < DELAY_BAD_S ? "slow" : "bad";
}

export function sinkWords({ sinkDelayS }: Status): string {
  if (sinkDelayS === null) return "–";
  return sinkDelayS < DELAY_SLOW_S ? "up to date" : `${Math.round(sinkDelayS)} s behind`;
}
