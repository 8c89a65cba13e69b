// Numbers with their units, and times on the clocks of the fleet.

const LOCALE = "en-GB";
const NOTHING = "–";
let zone = "UTC";
let formats = {};

/** Show times in this zone (an IANA name) from now on. */
export function setZone(name) {
  if (name === zone) return;
  zone = name;
  formats = {};
}

export function getZone() {
  return zone;
}

/** The zone in words, for the heads of tables and the names of fields. */
export const zoneName = () => zone.replaceAll("_", " ");

function clock(key, options) {
  formats[key] ??= new Intl.DateTimeFormat(LOCALE, { timeZone: zone, hourCycle: "h23", ...options });
  return formats[key];
}

const DAY = { day: "numeric", month: "short" };
const TIME = { hour: "2-digit", minute: "2-digit" };

export const day = (date) => clock("day", DAY).format(date);
export const month = (date) => clock("month", { month: "short", year: "numeric" }).format(date);
export const time = (date) => clock("time", TIME).format(date);
export const seconds = (date) => clock("seconds", { ...TIME, second: "2-digit" }).format(date);
export const date = (date) => clock("date", { ...DAY, year: "numeric" }).format(date);
const year = (date) => clock("year", { year: "numeric" }).format(date);

/** The day and the time of day, with the year where it is not this one. */
export const dateTime = (at, now = new Date()) => `${year(at) === year(now) ? day(at) : date(at)} ${time(at)}`;

/** The zone at that time, as a clock would name it: UTC, CET, GMT+5:30. */
const zoneAt = (at) => clock("zone", { timeZoneName: "short" }).formatToParts(at).find(({ type }) => type === "timeZoneName").value;

/** The time of day with its zone, and with the day where that is not today. */
export const when = (at, now = new Date()) => `${date(at) === date(now) ? time(at) : dateTime(at, now)} ${zoneAt(at)}`;
export const secondsWhen = (at) => `${seconds(at)} ${zoneAt(at)}`;

/** A number with so many decimals; a dash for none. */
export function number(value, decimals = 0) {
  if (value === null || value === undefined) return NOTHING;
  return value.toLocaleString(LOCALE, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Energy, in the unit in which it can be read: kWh, MWh, GWh. */
export function energy(kwh) {
  if (kwh === null || kwh === undefined) return { value: NOTHING, unit: "kWh" };
  for (const [size, unit] of [[1e6, "GWh"], [1e4, "MWh"]]) {
    if (kwh >= size) return { value: number(kwh / (unit === "GWh" ? 1e6 : 1e3), 1), unit };
  }
  return { value: number(kwh, kwh < 10 ? 2 : 1), unit: "kWh" };
}

export const percent = (ratio, decimals = 1) =>
  ratio === null || ratio === undefined ? NOTHING : `${number(ratio * 100, decimals)} %`;

/** An amount in a currency (ISO 4217 code); a dash for none. */
export const money = (value, currency) =>
  value === null || value === undefined ? NOTHING : value.toLocaleString(LOCALE, { style: "currency", currency, currencyDisplay: "code" });

/** A length of time as hours and minutes. */
export function hours(s) {
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
}

/** A length of time in its largest unit, rounded down. */
export function duration(s) {
  for (const [length, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (s >= length) return `${Math.floor(s / length)} ${unit}`;
  }
  return `${Math.floor(s)} s`;
}

/** How long ago, roughly. */
export const ago = (date, now = new Date()) => `${duration(Math.max(0, Math.round((now - date) / 1000)))} ago`;
