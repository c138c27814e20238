/** How the connection, the stream and the workers are: in words, and in a colour beside the words. */

import type { Desk } from "./desk.ts";
import { type Health, lagHealth, NOTHING_KNOWN, sinkHealth, sinkWords } from "./status.ts";
import { clockOf, span } from "./words.ts";

const LINK_HEALTH: Record<"live" | "connecting" | "lost", Health> = { live: "good", connecting: "unknown", lost: "bad" };

export function StatusBar({ desk }: { desk: Desk }) {
  const { connected, lostSinceMs } = desk;
  const told = connected && desk.statusAtMs !== 0;
  const status = told ? desk.status : NOTHING_KNOWN; // what was told before the connection broke says nothing about now
  const clock = clockOf(desk.city?.time_zone ?? "");
  const silent = lostSinceMs === null ? "connecting" : "unknown";
  const lamp = connected ? "live" : lostSinceMs === null ? "connecting" : "lost";
  const link = connected ? "live" : lostSinceMs === null ? "connecting" : `reconnecting, lost ${span(Date.now() - lostSinceMs)} ago`;
  return (
    <header class="bar">
      <h1>
        <span class="brand">cityops</span> {desk.city?.name ?? ""}
        {status.run !== "" && status.run !== "live" && <span class="tag">run {status.run}</span>}
      </h1>
      <span class={`lamp ${LINK_HEALTH[lamp]}`} role="status" data-connection={lamp}>
        {link}
      </span>
      <dl>
        <Fact name="event time" value={status.eventMs === null ? "–" : clock(status.eventMs)} />
        <Fact name="positions/s" value={figure(status.positionsPerS)} />
        <Fact name="lag" value={told ? figure(status.lag) : silent} health={lagHealth(status.lag)} />
        <Fact name="ClickHouse" value={told ? sinkWords(status) : silent} health={sinkHealth(status)} />
        <Fact
          name="worker"
          value={told ? (status.troubles[0] ?? "well") : silent}
          health={told ? (status.troubles.length > 0 ? "bad" : "good") : "unknown"}
        />
      </dl>
      {desk.trouble !== "" && (
        <span class="trouble" role="alert">
          {desk.trouble}
        </span>
      )}
    </header>
  );
}

function Fact({ name, value, health }: { name: string; value: string; health?: Health }) {
  return (
    <div class="fact" data-fact={name}>
      <dt>{name}</dt>
      <dd class={health === undefined ? "" : `lamp ${health}`}>{value}</dd>
    </div>
  );
}

function figure(value: number | null): string {
  return value === null ? "–" : Math.round(value).toLocaleString("en-GB");
}
