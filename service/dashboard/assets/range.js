// Range of a device's page: what the address says, the window that the API is asked for, and the ranges beside it.

import * as format from "./format.js";
import { DAY_MS, HOUR_MS, MINUTE_MS, UNITS, isMidnight, shift, startOf } from "./zone.js";

/** The longest window of the API, milliseconds. */
export const LONGEST_MS = 731 * DAY_MS;

/** Ranges that end now. */
export const ROLLING = {
  "24h": { name: "24 hours", hours: 24 },
  "7d": { name: "7 days", hours: 168 },
  "30d": { name: "30 days", hours: 720 },
  "1y": { name: "A year", hours: 8760 },
};

/** Buckets of this many milliseconds, by the longest range that is drawn with them. */
const even = (resolution, length, ms, upTo) => ({ resolution, length, upTo, hours: ms / HOUR_MS, floor: (at) => at - (at % ms), end: (start) => start + ms });

const QUARTER_HOURS = even("15min", "15 minutes", 15 * MINUTE_MS, 50 * HOUR_MS);
export const HOURLY = even("hourly", "an hour", HOUR_MS, 15 * DAY_MS);
const DAILY = { resolution: "daily", length: "a day", upTo: Infinity, hours: 24, floor: (at) => startOf("day", at), end: (start) => shift("day", start, 1) };
const BUCKETS = [QUARTER_HOURS, HOURLY, DAILY];

const utc = (ms) => new Date(ms).toISOString().replace(/\.000Z$/, "Z");

function rangeFrom(start, end, now, rolling = null) {
  const buckets = BUCKETS.find(({ upTo }) => end - start <= upTo);
  // a window is judged by its length, so it does not reach into the future
  const until = end > now && start < now ? now : end;
  return {
    start, end, buckets, rolling, isOver: end <= now,
    query: rolling ? `range=${rolling}` : `start=${utc(start)}&end=${utc(end)}`,
    window: rolling ? { hours: ROLLING[rolling].hours } : { start: utc(start), end: utc(until) },
  };
}

/** The range from start to end (milliseconds), or null where that is no window of the API. */
export function rangeBetween(start, end, now = Date.now()) {
  return start >= 0 && end - start >= MINUTE_MS && end - start <= LONGEST_MS ? rangeFrom(start, end, now) : null;
}

/** The range of these parameters of the address (`range`, or `start` and `end`); 24 hours where they have none. */
export function rangeOf(parameters, now = Date.now()) {
  const asked = parameters.get("range");
  const given = ["start", "end"].map((name) => Date.parse(parameters.get(name) ?? ""));
  const between = rangeBetween(...given, now);
  if (!asked && between) return between;
  const rolling = Object.hasOwn(ROLLING, asked ?? "") ? asked : "24h";
  const end = now - (now % MINUTE_MS);
  return rangeFrom(end - ROLLING[rolling].hours * HOUR_MS, end, now, rolling);
}

/** The day, week or month that a range is, or undefined. */
export const unitOf = ({ start, end }) => UNITS.find((unit) => startOf(unit, start) === start && shift(unit, start, 1) === end);

/** The day, week or month in which a range begins; the present one for a range that is not over. */
export function unitRange(unit, range, now = Date.now()) {
  const start = startOf(unit, range.rolling || (range.end > now && range.start < now) ? now : range.start);
  return rangeFrom(start, shift(unit, start, 1), now);
}

/** The range as long as this one beside it: -1 before, 1 after. A month is a month, and days are days of the calendar. */
export function neighbour(range, side, now = Date.now()) {
  const { start, end } = range;
  if (unitOf(range) === "month") return rangeBetween(shift("month", start, side), shift("month", end, side), now);
  const days = isMidnight(start) && isMidnight(end) ? Math.round((end - start) / DAY_MS) : 0;
  const moved = (ms) => (days ? shift("day", ms, side * days) : ms + side * (end - start));
  return rangeBetween(moved(start), moved(end), now);
}

/** The whole buckets of this range from one time to another, as it was dragged on a chart. */
export function zoomed({ buckets }, from, to, now = Date.now()) {
  const last = buckets.floor(to);
  return rangeBetween(buckets.floor(from), last === to && to > from ? to : buckets.end(last), now);
}

/** A range in words, without its zone. */
export function describe(range, now = Date.now()) {
  const unit = unitOf(range);
  const [start, end] = [new Date(range.start), new Date(range.end)];
  if (unit === "day") return format.date(start);
  if (unit === "month") return format.month(start);
  if (isMidnight(range.start) && isMidnight(range.end)) return `${format.date(start)} to ${format.date(new Date(shift("day", range.end, -1)))}`;
  const day = new Date(now).getUTCFullYear() === start.getUTCFullYear() ? format.day : format.date;
  return `${day(start)} ${format.time(start)} to ${day(end)} ${format.time(end)}`;
}
