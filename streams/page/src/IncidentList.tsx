/** All incidents: those under way first. Arrow keys move through the list, Enter opens, Esc closes. */

import { useMemo, useState } from "preact/hooks";

import { type Desk, isFresh } from "./desk.ts";
import { EVERYTHING, type Filter, isOpen, matches, type Order, ordered, SEVERITIES, type Shown } from "./incidents.ts";
import type { Incident, Severity } from "./records.ts";
import { ExerciseMark, SeverityBars, Sign } from "./sign.tsx";
import { joinDirections, kindWords, SEVERITY_WORDS, span, STATE_WORDS, titleOf } from "./words.ts";

const SHOWN_LINES = 5;
const SHOWN_AT_MOST = 300;

interface Props {
  desk: Desk;
  version: number;
  onSelect: (incidentId: string) => void;
}

export function IncidentList({ desk, version, onSelect }: Props) {
  const [filter, setFilter] = useState<Filter>(EVERYTHING);
  const [order, setOrder] = useState<Order>("newest");
  const found = useMemo(() => {
    const standing = [...desk.incidents.values()].filter((one) => one.state !== "WITHDRAWN" || filter.state === "WITHDRAWN");
    return ordered(standing.filter((one) => matches(one, filter)), order);
  }, [version, filter, order]);
  const kinds = [...new Set([...desk.incidents.values()].map((one) => one.kind))].sort((a, b) => kindWords(a).localeCompare(kindWords(b)));
  const open = found.filter(isOpen);
  const over = found.filter((one) => !isOpen(one));
  return (
    <section class="list panel" aria-label="Incidents">
      <Filters filter={filter} setFilter={setFilter} order={order} setOrder={setOrder} kinds={kinds} />
      <div class="rows" onKeyDown={moveWithArrows}>
        <Group title="Under way" incidents={open} desk={desk} onSelect={onSelect} />
        <Group title="Over" incidents={over} desk={desk} onSelect={onSelect} />
        {found.length === 0 && <p class="none">{emptyWords(desk)}</p>}
      </div>
    </section>
  );
}

function emptyWords(desk: Desk): string {
  if (!desk.known) return "Connecting…";
  return desk.incidents.size === 0 ? "No incidents." : "No incident matches the filter.";
}

interface FilterProps {
  filter: Filter;
  setFilter: (filter: Filter) => void;
  order: Order;
  setOrder: (order: Order) => void;
  kinds: string[];
}

function Filters({ filter, setFilter, order, setOrder, kinds }: FilterProps) {
  const set = (part: Partial<Filter>) => setFilter({ ...filter, ...part });
  const on = (use: (value: string) => void) => (event: Event) => use((event.currentTarget as HTMLInputElement).value);
  return (
    <form class="filters" role="search" aria-label="Filter incidents" onSubmit={(event) => event.preventDefault()}>
      <input
        type="search"
        placeholder="Place, line, device, id"
        aria-label="Text in place, line, device or id"
        value={filter.text}
        onInput={on((text) => set({ text }))}
      />
      <select aria-label="Kind" value={filter.kind} onChange={on((kind) => set({ kind }))}>
        <option value="">all kinds</option>
        {kinds.map((kind) => (
          <option key={kind} value={kind}>
            {kindWords(kind)}
          </option>
        ))}
      </select>
      <select aria-label="State" value={filter.state} onChange={on((state) => set({ state: state as Shown }))}>
        <option value="">any state</option>
        <option value="OPEN">under way</option>
        {Object.entries(STATE_WORDS).map(([state, words]) => (
          <option key={state} value={state}>
            {words}
          </option>
        ))}
      </select>
      <select aria-label="Least severity" value={filter.severity} onChange={on((one) => set({ severity: one as "" | Severity }))}>
        <option value="">any severity</option>
        {SEVERITIES.slice(1).map((one) => (
          <option key={one} value={one}>
            {SEVERITY_WORDS[one]} or more
          </option>
        ))}
      </select>
      <select aria-label="Order" value={order} onChange={on((one) => setOrder(one as Order))}>
        <option value="newest">newest first</option>
        <option value="severest">severest first</option>
      </select>
    </form>
  );
}

interface GroupProps {
  title: string;
  incidents: Incident[];
  desk: Desk;
  onSelect: (incidentId: string) => void;
}

function Group({ title, incidents, desk, onSelect }: GroupProps) {
  if (incidents.length === 0) return null;
  return (
    <>
      <h2>
        {title} <span class="count">{incidents.length}</span>
      </h2>
      <ul>
        {incidents.slice(0, SHOWN_AT_MOST).map((one) => (
          <Row key={one.incident_id} one={one} desk={desk} onSelect={onSelect} />
        ))}
      </ul>
      {incidents.length > SHOWN_AT_MOST && <p class="none">{incidents.length - SHOWN_AT_MOST} more: filter to see them.</p>}
    </>
  );
}

function Row({ one, desk, onSelect }: { one: Incident; desk: Desk; onSelect: (incidentId: string) => void }) {
  const lines = joinDirections(one.lines);
  const sent = desk.pending.some((action) => action.incident_id === one.incident_id);
  const last = one.actions.at(-1);
  const marks = ["row", isOpen(one) ? "" : "over", isFresh(desk, one.incident_id) ? "fresh" : "", one.exercise ? "exercise" : ""];
  return (
    <li>
      <button
        type="button"
        class={marks.join(" ")}
        data-incident={one.incident_id}
        aria-current={desk.selectedId === one.incident_id ? "true" : undefined}
        onClick={() => onSelect(one.incident_id)}
      >
        <Sign incident={one} />
        <span class="what">
          <span class="kind">
            {titleOf(one)} <span class={`state ${one.state.toLowerCase()}`}>{STATE_WORDS[one.state]}</span>
            {one.exercise && <ExerciseMark />}
            {one.provisional && <span class="tag">provisional</span>}
          </span>
          <span class="place">{one.place}</span>
          {one.assigned_to !== "" && <span class="assigned">for {one.assigned_to}</span>}
          {lines.length > 0 && (
            <span class="line-names">
              {lines.slice(0, SHOWN_LINES).map((line) => (
                <span key={line.line_id} class={`line ${modeOf(desk, line.line_id)}`}>
                  {line.line_id}
                </span>
              ))}
              {lines.length > SHOWN_LINES && <span class="muted">+{lines.length - SHOWN_LINES}</span>}
            </span>
          )}
        </span>
        <span class="when">
          <span class="age">{span(desk.nowMs() - one.opened_at_ms)}</span>
          <SeverityBars severity={one.severity} over={!isOpen(one)} />
          {sent ? <span class="tag sent">sent</span> : last !== undefined && <span class="tag">{last.operator}</span>}
        </span>
      </button>
    </li>
  );
}

export function modeOf(desk: Desk, lineId: string): string {
  return desk.modes.get(lineId) ?? "other";
}

function moveWithArrows(event: KeyboardEvent): void {
  const rows = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLButtonElement>("button.row")];
  const at = rows.indexOf(document.activeElement as HTMLButtonElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  rows[Math.min(rows.length - 1, Math.max(0, to))]?.focus();
}
