import assert from "node:assert/strict";
import { test } from "node:test";

import { addRevision, EVERYTHING, isNews, isUrgent, likelyNext, matches, ordered, plain, stillPending } from "../src/incidents.ts";
import type { Incident, IncidentChange } from "../src/records.ts";

function incident(incident_id: string, part: Partial<Incident> = {}): Incident {
  const one = { incident_id, kind: "crash", state: "SUSPECTED", severity: "MODERATE", opened_at_ms: 0, revision: 1, exercise: false };
  return { ...one, place: "", unit_name: "", lines: [], evidence: [], actions: [], ...part } as unknown as Incident;
}

const ids = (incidents: Incident[]) => incidents.map((one) => one.incident_id).join("");

test("open ones come first, then the newest or the severest", () => {
  const all = [
    incident("a", { opened_at_ms: 1, severity: "EXTREME" }),
    incident("b", { opened_at_ms: 3 }),
    incident("c", { opened_at_ms: 9, state: "DISMISSED", severity: "EXTREME" }),
    incident("d", { opened_at_ms: 2, state: "CONFIRMED" }),
  ];
  assert.equal(ids(ordered(all, "newest")), "bdac");
  assert.equal(ids(ordered(all, "severest")), "abdc");
});

test("only a later revision is news", () => {
  const known = new Map([["a", incident("a", { revision: 2 })]]);
  assert.deepEqual([1, 2, 3].map((revision) => isNews(known, incident("a", { revision }))), [false, false, true]);
  assert.ok(isNews(known, incident("b")));
});

test("called out is what begins, is confirmed or becomes worse", () => {
  const suspected = incident("a");
  const confirmed = incident("a", { state: "CONFIRMED" });
  assert.ok(isUrgent(undefined, suspected));
  assert.ok(isUrgent(suspected, confirmed));
  assert.ok(isUrgent(confirmed, { ...confirmed, severity: "EXTREME" }));
  assert.ok(isUrgent({ ...suspected, state: "RESOLVED" }, suspected));
  assert.ok(!isUrgent(confirmed, suspected));
  assert.ok(!isUrgent(confirmed, { ...confirmed, state: "DISMISSED" }));
});

test("revisions are kept once and in order", () => {
  const change = (revision: number) => ({ incident: incident("a", { revision }) }) as IncidentChange;
  const kept = [3, 1, 3, 2].map(change).reduce(addRevision, []);
  assert.deepEqual(kept.map((one) => one.incident.revision), [1, 2, 3]);
});

test("an action is pending until its own incident carries it", () => {
  const pending = ["x", "y"].map((action_id) => ({ action_id, incident_id: "a" })) as Parameters<typeof stillPending>[0];
  const folded = (id: string) => incident(id, { actions: [{ action_id: "x" }] as Incident["actions"] });
  assert.deepEqual(stillPending(pending, folded("a")).map((one) => one.action_id), ["y"]);
  assert.equal(stillPending(pending, folded("b")).length, 2);
});

test("text is found without marks and case, in places, lines, devices and exercises", () => {
  assert.equal(plain(" Đường LÁNG "), "duong lang");
  const one = incident("a", {
    place: "near Đường Láng stop",
    lines: [{ line_id: "22A", line_name: "Bến xe Gia Lâm" }] as Incident["lines"],
    evidence: [{ device_id: "CAM-1" }] as Incident["evidence"],
    exercise: true,
  });
  for (const text of ["duong lang", "gia lam", "22a", "cam-1", "exercise", ""]) assert.ok(matches(one, { ...EVERYTHING, text }), text);
  assert.ok(!matches(one, { ...EVERYTHING, text: "lăng bác" }));
});

test("filters hold together", () => {
  const one = incident("a", { state: "CONFIRMED", severity: "SEVERE" });
  assert.ok(matches(one, { kind: "crash", state: "OPEN", severity: "SEVERE", text: "" }));
  assert.ok(!matches(one, { ...EVERYTHING, kind: "fire" }));
  assert.ok(!matches(one, { ...EVERYTHING, severity: "EXTREME" }));
  assert.ok(!matches(one, { ...EVERYTHING, state: "SUSPECTED" }));
});

test("to acknowledge is likely next until somebody decided; what is over asks for nothing", () => {
  const pending = [{ action_id: "x", incident_id: "a" }] as Parameters<typeof likelyNext>[1];
  assert.equal(likelyNext(incident("a"), []), "ACKNOWLEDGE");
  assert.equal(likelyNext(incident("a", { state: "CONFIRMED" }), []), "ACKNOWLEDGE");
  assert.equal(likelyNext(incident("a"), pending), null);
  assert.equal(likelyNext(incident("a", { actions: [{ decision: "CONFIRM" }] as Incident["actions"] }), []), null);
  assert.equal(likelyNext(incident("a", { state: "RESOLVED" }), []), null);
});
