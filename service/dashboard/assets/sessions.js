// Charging sessions as tables: their columns, and the card of a vehicle's page with the power of each session.

import { get, pathOf } from "./api.js";
import { column, deviceColumn, devicePath, ratioColumn, statusColumn, textColumn } from "./columns.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { sparkline } from "./sparkline.js";
import { createCard } from "./table_card.js";
import { HOUR_MS, MINUTE_MS } from "./zone.js";

const QUARTER_MS = 15 * MINUTE_MS;
const OF_A_CARD = 1000;
const OF_A_PAGE = 10_000;

/** The address of the charts of just this session, in whole quarter hours. */
function chartsAddress({ vehicleId, startedAt, endedAt }) {
  const start = Math.floor(Date.parse(startedAt) / QUARTER_MS) * QUARTER_MS;
  const end = Math.ceil(Date.parse(endedAt) / QUARTER_MS) * QUARTER_MS;
  const [from, until] = [start, end].map((ms) => new Date(ms).toISOString().replace(".000Z", "Z"));
  return `${devicePath("vehicle", vehicleId)}?start=${from}&end=${until}`;
}

const startColumn = {
  name: () => `Started, ${format.zoneName()}`, csv: "startedAt", kind: "text", value: (r) => r.startedAt,
  show: (r) => [h("a", { href: chartsAddress(r) }, format.dateTime(new Date(r.startedAt))), r.isOpen ? h("span", { class: "badge open" }, "so far") : ""],
};
const charge = (r) => (r.socStart === null ? "–" : `${format.number(r.socStart)} to ${format.number(r.socEnd)}`);
const costColumn = { name: "Cost", csv: "cost", value: (r) => r.cost, show: (r) => format.money(r.cost, r.currency) };
const OF_COST = [costColumn, { csv: "currency", value: (r) => r.currency }];

/** The columns of these sessions, with `more` after the measures; cost and CO2 only where one of them has one. */
export function sessionColumns(sessions, { first = [], more = [] } = {}) {
  const has = (name) => sessions.some((session) => session[name] !== null);
  return [
    startColumn,
    ...first,
    { name: "Length", csv: "durationS", value: (r) => r.durationS, show: (r) => format.hours(r.durationS) },
    column("DC, kWh", "kwhDeliveredDc", 2),
    column("AC, kWh", "kwhConsumedAc", 2),
    ratioColumn,
    statusColumn,
    { name: "Charge, %", csv: "socStart", value: (r) => r.socStart, show: charge },
    { csv: "socEnd", value: (r) => r.socEnd },
    ...more,
    column("Mean, kW", "meanKw", 1),
    column("Highest, kW", "peakKw", 1),
    ...(has("cost") ? OF_COST : []),
    ...(has("co2Kg") ? [column("CO₂, kg", "co2Kg", 2)] : []),
    textColumn("Meter", "meterId"),
    ...["sessionId", "endedAt", "kwhLost", "batteryTempAvg", "batteryTempMax", "readings", "meterReadings", "isComplete", "isOpen"].map((csv) => ({ csv, value: (r) => r[csv] })),
  ];
}

export const vehicleColumn = deviceColumn("Vehicle", "vehicle", "vehicleId");

/** A line of mean powers, kW; none for a session within two buckets. */
function powerLine(session) {
  const powers = session.powers ?? [];
  if (powers.length < 2) return h("span", { class: "muted" }, "–");
  const highest = Math.max(...powers);
  const points = powers.map((kw, index) => ({ x: index / (powers.length - 1), y: highest > 0 ? kw / highest : 0 }));
  const text = `From ${format.number(powers[0], 1)} kW to ${format.number(powers.at(-1), 1)} kW, at most ${format.number(highest, 1)} kW`;
  return sparkline(points, text, { status: "power" });
}

const powerColumn = { name: "Power", kind: "text", csv: "powers", value: (r) => (r.powers ?? []).map((kw) => kw.toFixed(3)).join(" "), show: powerLine };

/** The mean power of each quarter hour of a vehicle's sessions, kW (of each hour, in a long time); asked for once. */
function createPowers(id, signal) {
  const known = new Map();
  const keyOf = ({ sessionId, endedAt }) => `${sessionId} ${endedAt}`;
  return async function withPowers(sessions) {
    const missing = sessions.filter((session) => !known.has(keyOf(session)));
    if (missing.length) {
      const start = Math.min(...missing.map((session) => Date.parse(session.startedAt)));
      const end = Math.max(...missing.map((session) => Date.parse(session.endedAt)));
      const length = end - start <= (OF_A_PAGE - 2) * QUARTER_MS ? QUARTER_MS : HOUR_MS;
      const window = { start: new Date(start - (start % length)).toISOString(), end: new Date(Math.ceil(end / length) * length).toISOString() };
      const { items } = await get(pathOf("/v1/history/vehicle", id), { resolution: length === HOUR_MS ? "hourly" : "15min", ...window, limit: OF_A_PAGE }, signal);
      const buckets = items.map(({ bucket, kwhDeliveredDc }) => ({ from: Date.parse(bucket), kw: kwhDeliveredDc / (length / HOUR_MS) }));
      for (const session of missing) {
        const [from, until] = [Date.parse(session.startedAt) - length, Date.parse(session.endedAt)];
        known.set(keyOf(session), buckets.filter((bucket) => bucket.from > from && bucket.from < until).map(({ kw }) => kw));
      }
    }
    return sessions.map((session) => ({ ...session, powers: known.get(keyOf(session)) }));
  };
}

/** The card of a vehicle's sessions in a range, the newest first. */
export function createSessionsCard(id, signal) {
  const element = h("div");
  const withPowers = createPowers(id, signal);
  let asked = null;
  return {
    element,
    async update(range) {
      asked = range;
      const { items, next } = await get(pathOf("/v1/sessions", id), { ...range.window, withCost: true, limit: OF_A_CARD }, signal);
      const sessions = (await withPowers(items)).reverse();
      if (asked !== range) return;
      const note = `Those that began in this time${next ? `, the first ${OF_A_CARD}` : ""}. The start leads to the charts of the session`;
      const card = createCard("Charging sessions", `${id}-sessions`, sessionColumns(sessions, { more: [powerColumn] }), note, "No charging session began in this time.");
      card.update(sessions);
      element.replaceChildren(card.element);
    },
  };
}
