/** The page: status above, incidents beside the map, the selected one beside both. */

import { useEffect, useReducer, useRef, useState } from "preact/hooks";

import type { Desk } from "./desk.ts";
import type { Vehicle } from "./fleet.ts";
import { IncidentDetail } from "./IncidentDetail.tsx";
import { IncidentList } from "./IncidentList.tsx";
import { CityMap } from "./map.ts";
import { MapPanel } from "./MapPanel.tsx";
import { StatusBar } from "./StatusBar.tsx";

const HASH = "#incident=";
const SECOND_MS = 1_000;

export function App({ desk }: { desk: Desk }) {
  const [version, again] = useReducer<number, void>((count) => count + 1, 0);
  const [vehicle, setVehicle] = useState<Vehicle | null>(null);
  const [following, setFollowing] = useState(false);
  const target = useRef<HTMLDivElement>(null);
  const map = useRef<CityMap | null>(null);
  const found = useRef(false);

  const select = (incidentId: string | null) => {
    if (incidentId === null) focusRow(desk.selectedId);
    else if (incidentId === desk.selectedId) focusDetails(); // opening another one does so by itself
    desk.select(incidentId);
    found.current = desk.incidents.has(incidentId ?? "");
    map.current?.select(desk.incidents.get(incidentId ?? "") ?? null, true);
    history.replaceState(null, "", incidentId === null ? location.pathname : `${HASH}${incidentId}`);
  };
  const pick = (one: Vehicle | null) => {
    setVehicle(one);
    setFollowing(false);
    map.current?.selectVehicle(one?.id ?? null, false);
  };
  const follow = (follows: boolean) => {
    setFollowing(follows);
    map.current?.selectVehicle(vehicle?.id ?? null, follows);
  };

  useEffect(() => {
    const shown = new CityMap(target.current as HTMLDivElement, {
      onIncident: (id) => select(id),
      onVehicle: (one) => pick(one),
      onMoved: () => setFollowing(false),
    });
    map.current = shown;
    desk.onVehicles = (rows) => shown.fleet.update(rows, performance.now());
    desk.onIncidents = () => {
      shown.showIncidents([...desk.incidents.values()].filter((one) => one.state !== "WITHDRAWN"));
      const selected = desk.incidents.get(desk.selectedId ?? "") ?? null;
      shown.select(selected, selected !== null && !found.current); // one named by the address is found when it is told
      found.current = selected !== null;
    };
    desk.onChange = () => again();
    desk.start();
    const timer = setInterval(() => again(), SECOND_MS); // ages grow
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && desk.selectedId !== null && select(null);
    window.addEventListener("keydown", onKey);
    if (location.hash.startsWith(HASH)) desk.select(location.hash.slice(HASH.length));
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (desk.city === null) return;
    document.title = `${desk.city.name} · cityops`;
    map.current?.showCity(desk.city);
    map.current?.select(desk.incidents.get(desk.selectedId ?? "") ?? null, true);
  }, [desk.city]);

  const selected = desk.incidents.get(desk.selectedId ?? "");
  return (
    <div class={selected === undefined ? "page" : "page with-detail"}>
      <StatusBar desk={desk} />
      <IncidentList desk={desk} version={version} onSelect={select} />
      <MapPanel
        target={target}
        map={map}
        city={desk.city}
        rules={desk.rules}
        vehicle={vehicle}
        following={following}
        nowMs={desk.nowMs()}
        vehicles={map.current?.fleet.vehicles.size ?? 0}
        onFollow={follow}
        onVehicle={pick}
      />
      {selected !== undefined && (
        <IncidentDetail desk={desk} incident={selected} onClose={() => select(null)} onShow={() => map.current?.select(selected, true)} />
      )}
      <div class="unseen" aria-live="assertive">
        {desk.announcement.urgent ? desk.announcement.text : ""}
      </div>
      <div class="unseen" aria-live="polite">
        {desk.announcement.urgent ? "" : desk.announcement.text}
      </div>
    </div>
  );
}

/** Put the focus on the title of the incident that is open. */
function focusDetails(): void {
  document.querySelector<HTMLHeadingElement>("aside.detail h2")?.focus({ preventScroll: true });
}

/** Give the focus back to the row that opened what is being closed. */
function focusRow(incidentId: string | null): void {
  if (incidentId !== null) document.querySelector<HTMLButtonElement>(`button[data-incident="${incidentId}"]`)?.focus();
}
