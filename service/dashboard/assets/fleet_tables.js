// The tables of the fleet page: the worst vehicles with their trend, silent devices, rejected readings.

import { column, deviceColumn, deviceLink, ratioColumn, statusColumn, timeColumn } from "./columns.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { listAddress } from "./list.js";
import { sparkline } from "./sparkline.js";
import { createCard as card } from "./table_card.js";

/** Efficiency day by day as a line, dashed to a day that is not over; the words say its first and its last value. */
function trendLine(trend, status, todayStart) {
  const known = trend.map((day, index) => ({ ...day, index, start: new Date(day.bucket) })).filter((day) => day.efficiencyRatio !== null);
  if (known.length < 2) return h("span", { class: "muted" }, "–");
  const [low, high] = [0.6, 1];
  const points = known.map((day) => ({ x: day.index / Math.max(1, trend.length - 1), y: (Math.min(high, Math.max(low, day.efficiencyRatio)) - low) / (high - low) }));
  const isOpen = known.at(-1).start >= new Date(todayStart);
  const words = (day) => `${format.percent(day.efficiencyRatio)} on ${format.day(day.start)}`;
  const text = `${words(known[0])}, ${words(known.at(-1))}${isOpen ? " so far" : ""}`;
  return sparkline(points, text, { status, openFrom: isOpen ? points.length - 1 : points.length });
}

export function worstTable() {
  return card("Lowest efficiency, 24 hours", "worst-vehicles", [
    deviceColumn("Vehicle", "vehicle", "vehicleId"),
    ratioColumn,
    statusColumn,
    { name: "14 days", csv: "trend", kind: "text", value: (r) => r.trend.map((d) => d.efficiencyRatio ?? "").join(" "), show: (r) => trendLine(r.trend, r.efficiencyStatus, r.todayStart) },
    column("AC, kWh", "kwhConsumedAc", 1),
    column("DC, kWh", "kwhDeliveredDc", 1),
    { name: "Lost, kWh", csv: "kwhLost", value: (r) => r.kwhConsumedAc - r.kwhDeliveredDc, show: (r) => format.number(r.kwhConsumedAc - r.kwhDeliveredDc, 1) },
  ], ["Vehicles that lose the largest share of what they draw; idle and unknown ones have no efficiency. ",
    h("a", { href: listAddress("vehicles", { status: "low" }) }, "All with a low efficiency")]);
}

export function silentTable() {
  return card("Silent devices", "silent-devices", [
    { name: "Device", csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: (r) => deviceLink(r.kind, r.deviceId) },
    { name: "Kind", csv: "kind", kind: "text", value: (r) => r.kind },
    { ...timeColumn("Newest reading", "recordedAt"), show: (r) => `${format.dateTime(new Date(r.recordedAt))}, ${format.ago(new Date(r.recordedAt))}` },
    { name: "Expected every", csv: "expectedIntervalS", value: (r) => r.expectedIntervalS, show: (r) => format.duration(r.expectedIntervalS) },
  ], ["No reading for several of their expected intervals; the last to fall silent come first. ",
    h("a", { href: listAddress("devices", { status: "silent", sort: "-timestamp" }) }, "All silent devices")], "Every device reports.");
}

/** The command that lists these readings, and the one that sends them again unless they are stored. */
function commands({ kind, code, isStored }) {
  const filters = `--kind ${kind} --code ${code} --since 24h`;
  const texts = [`energy rejected list ${filters}`, ...(isStored ? [] : [`energy rejected replay ${filters}`])];
  return texts.map((text) => h("code", { class: "command" }, text));
}

const example = (r) => h("div", { class: "example" }, h("p", null, r.detail, " ", h("code", { class: "muted" }, r.payload)), commands(r));

const reason = (r) => [r.code.replaceAll("_", " "), r.isStored ? h("p", { class: "note" }, "stored without the measure") : ""];

/** The device of the newest one, and its sender where the reading names none. */
const device = (r) => (r.deviceId && r.kind !== "unknown" ? deviceLink(r.kind, r.deviceId) : r.deviceId ?? (r.source ? `sent by ${r.source}` : "–"));

export function rejectedTable() {
  return card("Rejected readings, 24 hours", "rejected-readings", [
    { name: "Reason", csv: "code", kind: "text", wraps: true, value: (r) => r.code, show: reason },
    { name: "Kind", csv: "kind", kind: "text", value: (r) => r.kind },
    column("Readings", "readings", 0),
    timeColumn("Newest", "newest"),
    { name: "Its device", csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: device },
    { csv: "source", value: (r) => r.source },
    { name: "Its fault, and the commands", csv: "detail", kind: "text", wraps: true, value: (r) => r.detail, show: example },
    { csv: "payload", value: (r) => r.payload },
    { csv: "isStored", value: (r) => r.isStored },
  ], "The newest of each reason is the example. Mend the cause, then send the readings again: what was not stored is stored then", "No reading was rejected.");
}
