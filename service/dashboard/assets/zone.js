// The calendar of the fleet's time zone: midnights, weeks and months as instants (milliseconds).

import { getZone } from "./format.js";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

let clock;
let clockZone;

function clockOf(timeZone) {
  if (clockZone !== timeZone) {
    clockZone = timeZone;
    const two = "2-digit";
    clock = new Intl.DateTimeFormat("en-GB", {
      timeZone, hourCycle: "h23", year: "numeric", month: two, day: two, hour: two, minute: two, second: two,
    });
  }
  return clock;
}

/** What the fleet's clocks show at an instant, as if they stood in UTC. */
export function wallOf(ms) {
  const parts = Object.fromEntries(clockOf(getZone()).formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
}

/** The instant at which the clocks show this: of two the later one, as in PostgreSQL; of none the end of the gap. */
export function instantOf(wall) {
  const [before, after] = [wall - DAY_MS, wall + DAY_MS].map((near) => wall - (wallOf(near) - near));
  return wallOf(after) === wall ? after : before;
}

const FLOORS = {
  day: (date) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()),
  week: (date) => FLOORS.day(date) - ((date.getUTCDay() + 6) % 7) * DAY_MS,
  month: (date) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth()),
};

// from a midnight that the clocks may leap over
const NEXT = {
  day: (date, count) => FLOORS.day(date) + count * DAY_MS,
  week: (date, count) => FLOORS.day(date) + count * 7 * DAY_MS,
  month: (date, count) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + count),
};

export const UNITS = Object.keys(FLOORS);

/** The start of the day, week (from Monday) or month of an instant. */
export const startOf = (unit, ms) => instantOf(FLOORS[unit](new Date(wallOf(ms))));

/** The start of a day, week or month, so many of them later. */
export const shift = (unit, ms, count) => instantOf(NEXT[unit](new Date(wallOf(ms)), count));

export const isMidnight = (ms) => startOf("day", ms) === ms;
