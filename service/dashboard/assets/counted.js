// Time of the figures on the fleet page, in words: up to when they count, or from when they will.

import * as format from "./format.js";

const QUARTER_HOUR_MS = 900_000;

/** Whether figures end before this moment: those of a large fleet do, as they come from the aggregates. */
const isBehind = (overview) => overview.receivedUntil !== overview.periodEnd;

/** A quarter hour is counted after its end: the earliest time at which figures can come. */
const nextCount = (now = Date.now()) => format.when(new Date(Math.ceil(now / QUARTER_HOUR_MS) * QUARTER_HOUR_MS));

const hasFigures = (overview) => overview.hours.length > 0;

/** The line above all figures. */
export function countedLine(overview) {
  const until = format.when(new Date(overview.periodEnd));
  if (!isBehind(overview)) return `Energy and efficiency are counted up to ${until}.`;
  if (!hasFigures(overview)) return `No energy is counted yet. The first figures come after ${nextCount()}, when that quarter hour is over.`;
  return `Energy and efficiency are counted up to ${until}, of readings received until ${format.when(new Date(overview.receivedUntil))}.`;
}

/** The note of an energy of today (kWh; null without a counted reading). */
export function countedToday(overview, kwh) {
  const until = format.when(new Date(overview.energyUntil));
  if (kwh !== null) return `up to ${until}`;
  if (isBehind(overview) && overview.energyUntil === overview.todayStart) return `counted after ${nextCount()}`;
  return `no readings up to ${until}`;
}

/** How many vehicles have which status; an empty text without vehicles. */
export function statusCounts(overview) {
  const counts = [
    ["normal", overview.vehiclesNormal], ["low", overview.vehiclesLow], ["impossible", overview.vehiclesImpossible],
    ["unknown", overview.vehiclesUnknown], ["idle", overview.vehiclesIdle],
  ];
  return counts.filter(([, count]) => count).map(([name, count]) => `${format.number(count)} ${name}`).join(", ");
}

/** The text in place of energies of a large fleet; undefined for a small one, whose readings are all counted. */
export const withoutEnergy = (overview) => (isBehind(overview) ? countedLine(overview) : undefined);

/** The text in place of efficiencies where no vehicle has one: it speaks of the counted time only. */
export function withoutEfficiency(overview) {
  if (isBehind(overview) && !hasFigures(overview)) return countedLine(overview);
  const [from, until] = [overview.periodStart, overview.periodEnd].map((time) => format.when(new Date(time)));
  const vehicles = statusCounts(overview);
  const later = isBehind(overview) ? " Later readings are not counted yet." : "";
  return `From ${from} to ${until} no vehicle has an efficiency: ${vehicles || "no readings"}.${later}`;
}
