/** How the connection, the stream and the workers are: in words, and in a colour beside the words. */

import type { Desk } from "./desk.ts";
import { type Health, lagHealth, sinkHealth, sinkWords } from "./status.ts";
import { clockOf, span } from "./words.ts";

export function StatusBar({ desk }: { desk: Desk }) {
  const { status, connected, lostSinceMs } = desk;
  const clock = clockOf(desk.city?.time_zone ?? "");
  const link = connected ? "live" : lostSinceMs === null ? "connecting" : `reconnecting, lost ${span(Date.now() - lostSinceMs)} ago`;
  return (
    <header class="bar">
      <h1>
        <span class="brand">cityops</span> {desk.city?.name ?? ""}
        {status.run !== "" && status.run !== "live" && <span class="tag">run {status.run}</span>}
      </h1>
      <span class={`lamp ${connected ? "good" : "bad"}`} role="status" data-connection={connected ? "live" : "lost"}>
        {link}
      </span>
      <dl>
        <Fact name="event time" value={status.eventMs === null ? "–" : clock(status.eventMs)} />
        <Fact name="positions/s" value={figure(status.positionsPerS)} />
        <Fact name="lag" value={figure(status.lag)} health={lagHealth(status.lag)} />
        <Fact name="ClickHouse" value={sinkWords(status)} health={sinkHealth(status)} />
        <Fact name="worker" value={status.troubles[0] ?? "well"} health={status.troubles.length > 0 ? "bad" : "good"} />
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
