/** Questions to the worker that serves this page. Every failure is one sentence. */

import type { City, Decision, IncidentChange, NamedRule } from "./records.ts";

export class Refused extends Error {}

export async function fetchCity(): Promise<City> {
  return ask<City>("api/city");
}

export async function fetchRules(): Promise<NamedRule[]> {
  return ask<NamedRule[]>("api/rules");
}

export async function fetchChanges(incidentId: string): Promise<IncidentChange[]> {
  return (await ask<{ changes: IncidentChange[] }>(`api/incidents/${encodeURIComponent(incidentId)}`)).changes;
}

/** What an operator decided; assignee: whom ASSIGN names, empty otherwise. */
export interface Decided {
  decision: Decision;
  operator: string;
  note: string;
  assignee: string;
}

/** Send what an operator decided; returns the id that the incident's revision will carry. */
export async function sendAction(incidentId: string, decided: Decided): Promise<string> {
  const answer = await ask<{ action_id: string }>(`api/incidents/${encodeURIComponent(incidentId)}/actions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Cityops": "1" },
    body: JSON.stringify(decided),
  });
  return answer.action_id;
}

async function ask<T>(path: string, request?: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Refused("The worker does not answer. Nothing was changed.");
  }
  if (response.ok) return (await response.json()) as T;
  if (response.status === 401) throw new Refused("This page needs the token: open it once as /?token=TOKEN.");
  const told = (await response.json().catch(() => ({}))) as { error?: string };
  throw new Refused(told.error ?? `The worker answered ${response.status} to ${path}.`);
}
