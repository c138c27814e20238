/** The same signs as on the map, in the list: form tells the state, colour and bars the severity. */

import { INK, OVER, SEVERITY } from "./colours.ts";
import { GLYPH_SCALE, glyphOf } from "./glyphs.ts";
import { isOpen, SEVERITIES } from "./incidents.ts";
import type { Incident, Severity } from "./records.ts";
import { SEVERITY_WORDS } from "./words.ts";

type Shown = Pick<Incident, "kind" | "state" | "severity" | "exercise">;

export function Sign({ incident, size = 34 }: { incident: Shown; size?: number }) {
  const colour = isOpen(incident as Incident) ? SEVERITY[incident.severity] : OVER;
  const filled = incident.state === "CONFIRMED";
  const form = {
    fill: filled ? colour : INK,
    stroke: colour,
    "stroke-width": 2.5,
    "stroke-dasharray": incident.state === "SUSPECTED" ? "5 3.5" : undefined,
  };
  return (
    <svg class="sign" width={size} height={size} viewBox="-17 -17 34 34" aria-hidden="true">
      {incident.exercise ? <rect x={-14} y={-14} width={28} height={28} {...form} /> : <circle r={14.5} {...form} />}
      {incident.exercise && <path d="M-14 0 0-14M-14 14 14-14M0 14 14 0" stroke={filled ? INK : colour} stroke-width={2.5} opacity={0.55} />}
      {incident.exercise && <circle r={9.5} fill={filled ? colour : INK} />}
      <path d={glyphOf(incident.kind)} fill={filled ? INK : colour} transform={`scale(${GLYPH_SCALE}) translate(-12 -12)`} />
      {incident.state === "DISMISSED" && <path d="M-10 10 10-10" stroke={colour} stroke-width={2.5} />}
    </svg>
  );
}

/** What a kind looks like, without a state or severity. */
export function KindSign({ kind }: { kind: string }) {
  return (
    <svg class="kind-sign" width={18} height={18} viewBox="0 0 24 24" aria-hidden="true">
      <path d={glyphOf(kind)} fill="currentColor" />
    </svg>
  );
}

export function SeverityBars({ severity, over }: { severity: Severity; over: boolean }) {
  const reached = SEVERITIES.indexOf(severity);
  const colour = over ? OVER : SEVERITY[severity];
  return (
    <span class="severity">
      <svg width={20} height={12} viewBox="0 0 20 12" aria-hidden="true">
        {SEVERITIES.map((_, index) => (
          <rect key={index} x={index * 5} y={9 - index * 3} width={4} height={3 + index * 3} fill={index <= reached ? colour : "#304152"} />
        ))}
      </svg>
      {SEVERITY_WORDS[severity]}
    </span>
  );
}

export function ExerciseMark() {
  return <strong class="exercise-mark">EXERCISE</strong>;
}
