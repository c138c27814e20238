/**
 * What a colour means, here only. Hues keep apart under deuteranopia, protanopia and tritanopia by lightness, and
 * nothing is told by colour alone: severity has bars too, state a form, class a size.
 */

import type { Severity } from "./records.ts";

export const SEVERITY: Record<Severity, string> = {
  MINOR: "#8fd0ff",
  MODERATE: "#ffe066",
  SEVERE: "#ff9a1f",
  EXTREME: "#ff5277",
};

export const OVER = "#8b98a8";

export const MODE: Record<string, string> = {
  bus: "#2f78a8",
  brt: "#1fa37f",
  metro: "#9a6be0",
};

export const OTHER_MODE = "#5d6f82";

/** Vehicle classes in the order they are drawn, the last on top. */
export const VEHICLE: Record<string, string> = {
  UNKNOWN: "#6f7d8c",
  OTHER: "#6f7d8c",
  RIDE_HAILING: "#76879a",
  RENTAL: "#8c98a5",
  TAXI: "#d6c58a",
  COACH: "#d69bc0",
  BUS: "#6cc4ff",
  BRT: "#45e0b4",
  METRO: "#c9a2ff",
};

export const INK = "#0a0f15";
