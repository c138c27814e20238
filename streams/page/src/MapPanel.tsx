/** The map with its tools and its legend, and the vehicle that was picked. */

import type { RefObject } from "preact";
import { useState } from "preact/hooks";

import { MODE, VEHICLE } from "./colours.ts";
import type { Vehicle } from "./fleet.ts";
import { ButtonIcon } from "./icons.tsx";
import type { CityMap, Layers } from "./map.ts";
import type { City, Incident, NamedRule } from "./records.ts";
import { KindSign, Sign } from "./sign.tsx";
import { CLASS_WORDS, compass, kindWords, span } from "./words.ts";

const FIRST_LAYERS: Layers = { stops: true, venues: true, cameras: false, sensors: false };
const LEGEND_FROM_PX = 1700;
const CLASSES = ["BUS", "BRT", "METRO", "TAXI", "RIDE_HAILING", "COACH", "RENTAL", "OTHER"];

interface Props {
  target: RefObject<HTMLDivElement | null>;
  map: RefObject<CityMap | null>;
  city: City | null;
  rules: NamedRule[];
  vehicle: Vehicle | null;
  following: boolean;
  nowMs: number;
  vehicles: number;
  onFollow: (follows: boolean) => void;
  onVehicle: (vehicle: Vehicle | null) => void;
}

export function MapPanel({ target, map, city, rules, vehicle, following, nowMs, vehicles, onFollow, onVehicle }: Props) {
  return (
    <section class="map" aria-label="Map">
      <div class="canvas" ref={target} role="application" aria-label="City map; arrow keys move, plus and minus zoom" tabIndex={0} />
      <div class="tools" role="toolbar" aria-label="Map tools">
        <button type="button" onClick={() => map.current?.zoom(1)} aria-label="Closer" title="Closer">
          <ButtonIcon name="closer" />
        </button>
        <button type="button" onClick={() => map.current?.zoom(-1)} aria-label="Further" title="Further">
          <ButtonIcon name="further" />
        </button>
        <button type="button" onClick={() => map.current?.fit()} aria-label="Whole city" title="Whole city">
          <ButtonIcon name="whole" />
        </button>
      </div>
      <Legend map={map} city={city} rules={rules} vehicles={vehicles} />
      {vehicle !== null && <VehicleCard vehicle={vehicle} following={following} nowMs={nowMs} onFollow={onFollow} onClose={() => onVehicle(null)} />}
    </section>
  );
}

interface LegendProps {
  map: RefObject<CityMap | null>;
  city: City | null;
  rules: NamedRule[];
  vehicles: number;
}

function Legend({ map, city, rules, vehicles }: LegendProps) {
  const [open, setOpen] = useState(() => window.innerWidth >= LEGEND_FROM_PX);
  const [layers, setLayers] = useState<Layers>(FIRST_LAYERS);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const toggleLayer = (name: keyof Layers) => {
    const next = { ...layers, [name]: !layers[name] };
    setLayers(next);
    map.current?.showLayers(next);
  };
  const toggleClass = (name: string) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
    map.current?.hideClasses(next);
  };
  return (
    <details class="legend" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Legend and layers</summary>
      <div class="columns">
        <fieldset>
          <legend>Vehicles <span class="count" data-vehicles={vehicles}>{vehicles.toLocaleString("en-GB")}</span></legend>
          {CLASSES.map((name) => (
            <label key={name}>
              <input type="checkbox" checked={!hidden.has(name)} onChange={() => toggleClass(name)} />
              <svg width={14} height={14} viewBox="-7 -7 14 14" aria-hidden="true">
                <path d="M0-6 4.3 5 0 2.6-4.3 5Z" fill={VEHICLE[name]} transform="rotate(45)" />
              </svg>
              {CLASS_WORDS[name]}
            </label>
          ))}
        </fieldset>
        <fieldset>
          <legend>Incidents</legend>
          {SAMPLES.map(({ words, ...incident }) => (
            <span key={words} class="sample">
              <Sign incident={incident} size={20} />
              {words}
            </span>
          ))}
          <span class="sample muted">colour and bars: severity</span>
        </fieldset>
        <fieldset>
          <legend>Show</legend>
          {(Object.keys(FIRST_LAYERS) as (keyof Layers)[]).map((name) => (
            <label key={name}>
              <input type="checkbox" checked={layers[name]} onChange={() => toggleLayer(name)} />
              {name === "venues" ? "places" : name}
            </label>
          ))}
          <legend class="second">Lines</legend>
          {Object.entries(MODE).map(([mode, colour]) => (
            <span key={mode} class="sample">
              <svg width={18} height={6} aria-hidden="true">
                <rect y={1.5} width={18} height={3} fill={colour} />
              </svg>
              {mode === "brt" ? "BRT" : mode}
            </span>
          ))}
        </fieldset>
      </div>
      <Kinds rules={rules} />
      <p class="muted">Drawn from the city package {city === null ? "" : `${city.name}, ${city.version.slice(0, 12)}`}; its sources are in NOTICE.</p>
    </details>
  );
}

/** Every kind of incidents that the city's rules know. */
function Kinds({ rules }: { rules: NamedRule[] }) {
  const kinds = [...new Set(rules.map((one) => one.kind))].sort((a, b) => kindWords(a).localeCompare(kindWords(b)));
  return (
    <details class="kinds">
      <summary>
        Kinds of incidents <span class="count">{kinds.length}</span>
      </summary>
      <ul>
        {kinds.map((kind) => (
          <li key={kind} class="sample" data-kind={kind}>
            <KindSign kind={kind} />
            {kindWords(kind)}
          </li>
        ))}
      </ul>
    </details>
  );
}

type Sample = Pick<Incident, "kind" | "state" | "severity" | "exercise"> & { words: string };

const SAMPLES: Sample[] = [
  { kind: "fire", state: "SUSPECTED", severity: "SEVERE", exercise: false, words: "suspected" },
  { kind: "fire", state: "CONFIRMED", severity: "EXTREME", exercise: false, words: "confirmed" },
  { kind: "fire", state: "RESOLVED", severity: "SEVERE", exercise: false, words: "over" },
  { kind: "fire", state: "DISMISSED", severity: "SEVERE", exercise: false, words: "dismissed" },
  { kind: "fire", state: "CONFIRMED", severity: "SEVERE", exercise: true, words: "exercise" },
];

interface CardProps {
  vehicle: Vehicle;
  following: boolean;
  nowMs: number;
  onFollow: (follows: boolean) => void;
  onClose: () => void;
}

function VehicleCard({ vehicle, following, nowMs, onFollow, onClose }: CardProps) {
  const speed = vehicle.speedMps === null ? "speed unknown" : `${Math.round(vehicle.speedMps * 3.6)} km/h`;
  const heading = vehicle.bearingDeg === null ? "" : ` ${compass(vehicle.bearingDeg)}`;
  return (
    <div class="vehicle-card" role="region" aria-label="Selected vehicle">
      <strong>{vehicle.id}</strong>
      <span>{CLASS_WORDS[vehicle.vehicleClass] ?? vehicle.vehicleClass}</span>
      {vehicle.lineId !== "" && <span>line {vehicle.lineId}</span>}
      <span>
        {speed}
        {heading}
      </span>
      <span class="muted">heard {span(nowMs - vehicle.atMs)} ago</span>
      <button type="button" aria-pressed={following} onClick={() => onFollow(!following)}>
        {following ? "Following" : "Follow"}
      </button>
      <button type="button" class="plain" onClick={onClose} aria-label="Close">
        <ButtonIcon name="close" />
      </button>
    </div>
  );
}
