/** One incident: what it is, what it rests on, whom it affects, how it came about, and what the operator decides. */

import { useEffect, useRef, useState } from "preact/hooks";

import type { Decided } from "./api.ts";
import type { Desk } from "./desk.ts";
import { ButtonIcon } from "./icons.tsx";
import { modeOf } from "./IncidentList.tsx";
import { isOpen, likelyNext } from "./incidents.ts";
import type { Decision, Incident, OperatorAction } from "./records.ts";
import { ExerciseMark, SeverityBars, Sign } from "./sign.tsx";
import { claimWords, clockOf, doneWords, due, joinDirections, shortIds, span, STATE_WORDS, titleOf } from "./words.ts";

const OPERATOR_KEY = "cityops.operator";
const SLOW_MS = 10_000;
const SHOWN_TRIPS = 6;
const NOTE_CHARACTERS = 500; // processors/actions.py refuses more, here and below
const NAME_CHARACTERS = 64;
const DECISIONS: [Decision, string][] = [
  ["ACKNOWLEDGE", "Acknowledge"],
  ["CONFIRM", "Confirm"],
  ["DISMISS", "Dismiss"],
  ["ASSIGN", "Assign"],
  ["RESOLVE", "Resolve"],
  ["COMMENT", "Comment"],
];

interface Props {
  desk: Desk;
  incident: Incident;
  onClose: () => void;
  onShow: () => void;
}

export function IncidentDetail({ desk, incident, onClose, onShow }: Props) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus({ preventScroll: true }), [incident.incident_id]);
  const clock = clockOf(desk.city?.time_zone ?? "");
  return (
    <aside class="detail panel" aria-label="Selected incident" data-incident={incident.incident_id}>
      {incident.exercise && <p class="exercise-band">EXERCISE · not a real incident</p>}
      <header>
        <Sign incident={incident} size={44} />
        <div>
          <h2 ref={title} tabIndex={-1}>
            {titleOf(incident)} <span class={`state ${incident.state.toLowerCase()}`}>{STATE_WORDS[incident.state]}</span>
          </h2>
          <p class="place">{incident.place}</p>
          <p class="facts">
            <SeverityBars severity={incident.severity} over={!isOpen(incident)} />
            <span>since {clock(incident.opened_at_ms)}, {span(desk.nowMs() - incident.opened_at_ms)}</span>
            {incident.assigned_to !== "" && <span class="assigned">for {incident.assigned_to}</span>}
            {incident.exercise && <ExerciseMark />}
            {incident.provisional && <span class="tag">provisional</span>}
          </p>
        </div>
        <span class="tools">
          <button type="button" class="plain" onClick={onShow} title="Show on the map" aria-label="Show on the map">
            <ButtonIcon name="show" />
          </button>
          <button type="button" class="plain" onClick={onClose} title="Close (Esc)" aria-label="Close">
            <ButtonIcon name="close" />
          </button>
        </span>
      </header>
      <div class="scroll">
        <Evidence incident={incident} clock={clock} />
        <Affected desk={desk} incident={incident} />
        <History desk={desk} clock={clock} />
        <p class="muted id">
          {incident.incident_id} · revision {incident.revision} · score {incident.score.toFixed(2)} · radius {Math.round(incident.radius_m)} m
        </p>
      </div>
      <Decide key={incident.incident_id} desk={desk} incident={incident} clock={clock} />
    </aside>
  );
}

type Clock = (ms: number) => string;

function Evidence({ incident, clock }: { incident: Incident; clock: Clock }) {
  return (
    <section>
      <h3>Evidence</h3>
      <ul class="evidence">
        {incident.evidence.map((one) => (
          <li key={one.observation_id}>
            <span class="claim">{claimWords(one.kind)}</span>
            <span class="device" title={one.device_id}>
              {shortIds(one.device_id)}
            </span>
            <span class="score" title={`score ${one.score.toFixed(2)}`}>
              <svg width={48} height={6} role="img" aria-label={`score ${one.score.toFixed(2)}`}>
                <rect width={48} height={6} rx={3} fill="#26384a" />
                <rect width={48 * Math.min(1, Math.max(0, one.score))} height={6} rx={3} fill="#9fd3ff" />
              </svg>
              {one.score.toFixed(2)}
            </span>
            <span class="far">{Math.round(one.distance_m)} m</span>
            <span class="at">{clock(one.at_ms)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Affected({ desk, incident }: { desk: Desk; incident: Incident }) {
  const lines = joinDirections(incident.lines);
  const stops = new Map(desk.city?.stops.features.map((one) => [one.properties.stop_id, one.properties.name]));
  const trips = [...incident.due_trips].sort((a, b) => a.due_at_ms - b.due_at_ms);
  if (lines.length === 0 && incident.stop_ids.length === 0) return null;
  return (
    <section>
      <h3>Affected</h3>
      <p class="line-names">
        {lines.map((line) => (
          <span key={line.line_id} class={`line ${modeOf(desk, line.line_id)}`} title={`${line.name}, ${Math.round(line.distance_m)} m away`}>
            {line.line_id} {line.direction}
          </span>
        ))}
      </p>
      {incident.stop_ids.length > 0 && <p class="stops">Stops: {incident.stop_ids.map((id) => stops.get(id) ?? id).join(" · ")}</p>}
      {trips.length > 0 && (
        <table>
          <caption>Due at these stops</caption>
          <tbody>
            {trips.slice(0, SHOWN_TRIPS).map((trip) => (
              <tr key={`${trip.line_id}/${trip.direction_id}/${trip.stop_id}/${trip.due_at_ms}`}>
                <td>
                  <span class={`line ${modeOf(desk, trip.line_id)}`}>{trip.line_id}</span>
                </td>
                <td>{stops.get(trip.stop_id) ?? trip.stop_id}</td>
                <td class="due">{due(trip.due_at_ms - desk.nowMs())}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {trips.length > SHOWN_TRIPS && <p class="muted">and {trips.length - SHOWN_TRIPS} more trips</p>}
    </section>
  );
}

function History({ desk, clock }: { desk: Desk; clock: Clock }) {
  return (
    <section>
      <h3>Revisions</h3>
      <ol class="history" reversed>
        {[...desk.revisions].reverse().map((change) => (
          <li key={change.incident.revision} data-revision={change.incident.revision}>
            <span class="at">{clock(change.tick_ms)}</span>
            <span>
              <strong>{change.change.toLowerCase()}</strong>
              {change.reasons.map((reason) => (
                <span key={reason} class="reason" title={shortIds(reason) === reason ? undefined : reason}>
                  {shortIds(reason)}
                </span>
              ))}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

type Field = "operator" | "note" | "assignee";

const MISSING: Record<Field, string> = {
  operator: "Who decides? Enter your name first.",
  assignee: "To whom? Enter an agency or a person.",
  note: "Enter the comment first.",
};

/** What a decision cannot do without and has not. */
function lackOf({ decision, operator, note, assignee }: Decided): Field | null {
  if (operator === "") return "operator";
  if (decision === "ASSIGN" && assignee === "") return "assignee";
  return decision === "COMMENT" && note === "" ? "note" : null;
}

/** Everybody to whom something is assigned. */
function assignees(desk: Desk): string[] {
  return [...new Set([...desk.incidents.values()].map((one) => one.assigned_to))].filter((one) => one !== "").sort();
}

function Decide({ desk, incident, clock }: { desk: Desk; incident: Incident; clock: Clock }) {
  const [operator, setOperator] = useState(() => localStorage.getItem(OPERATOR_KEY) ?? "");
  const [note, setNote] = useState("");
  const [assignee, setAssignee] = useState("");
  const [missing, setMissing] = useState<Field | null>(null);
  const fields = { operator: useRef<HTMLInputElement>(null), note: useRef<HTMLInputElement>(null), assignee: useRef<HTMLInputElement>(null) };
  const pending = desk.pending.filter((one) => one.incident_id === incident.incident_id);
  const likely = likelyNext(incident, pending);
  const send = async (decision: Decision) => {
    const decided = { decision, operator: operator.trim(), note: note.trim(), assignee: decision === "ASSIGN" ? assignee.trim() : "" };
    const lacks = lackOf(decided);
    setMissing(lacks);
    if (lacks !== null) {
      fields[lacks].current?.focus();
      return;
    }
    localStorage.setItem(OPERATOR_KEY, decided.operator);
    if (!(await desk.decide(incident.incident_id, decided))) return;
    setNote("");
    if (decision === "ASSIGN") setAssignee("");
  };
  const mistake = missing !== null ? MISSING[missing] : desk.mistakes.get(incident.incident_id);
  const taken = (set: (text: string) => void) => (event: { currentTarget: HTMLInputElement }) => {
    set(event.currentTarget.value);
    setMissing(null);
  };
  return (
    <form class="decide" aria-label="Decide" onSubmit={(event) => event.preventDefault()}>
      <Actions actions={incident.actions} clock={clock} />
      {pending.map((one) => (
        <p key={one.sent_at_ms} class="pending" role="status">
          {doneWords(one)} by {one.operator}: sent
          {Date.now() - one.sent_at_ms > SLOW_MS && `, not taken up for ${span(Date.now() - one.sent_at_ms)}`}
        </p>
      ))}
      {mistake !== undefined && (
        <p class="mistake" role="alert">
          {mistake}
        </p>
      )}
      <div class="fields">
        <input
          ref={fields.operator}
          aria-label="Operator"
          placeholder="Your name"
          autocomplete="name"
          maxLength={NAME_CHARACTERS}
          value={operator}
          aria-invalid={missing === "operator"}
          onInput={taken(setOperator)}
        />
        <input
          ref={fields.assignee}
          aria-label="Assign to"
          placeholder="Assign to"
          list="assignees"
          maxLength={NAME_CHARACTERS}
          value={assignee}
          aria-invalid={missing === "assignee"}
          onInput={taken(setAssignee)}
        />
        <datalist id="assignees">
          {assignees(desk).map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <input
          ref={fields.note}
          class="wide"
          aria-label="Note"
          placeholder="Note or comment"
          maxLength={NOTE_CHARACTERS}
          value={note}
          aria-invalid={missing === "note"}
          onInput={taken(setNote)}
        />
      </div>
      <div class="buttons">
        {DECISIONS.map(([decision, words]) => (
          <button key={decision} type="button" class={decision === likely ? "likely" : ""} onClick={() => void send(decision)}>
            {words}
          </button>
        ))}
      </div>
    </form>
  );
}

function Actions({ actions, clock }: { actions: OperatorAction[]; clock: Clock }) {
  if (actions.length === 0) return null;
  return (
    <ul class="decided">
      {actions.map((one) => (
        <li key={one.action_id}>
          <strong>{one.operator}</strong> {doneWords(one)} {clock(one.at_ms)}
          {one.note !== "" && <q>{one.note}</q>}
        </li>
      ))}
    </ul>
  );
}
