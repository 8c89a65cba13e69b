// The tables of the fleet page: the worst vehicles with their trend, silent devices, rejected readings.

import { h, svg } from "./dom.js";
import * as format from "./format.js";
import { listAddress } from "./list.js";
import { badge } from "./status.js";
import { createTable, csvLink } from "./table.js";

/** Efficiency day by day as a line, dashed to a day that is not over; the words say its first and its last value. */
function sparkline(trend, status, todayStart) {
  const known = trend.map((day, index) => ({ ...day, index, start: new Date(day.bucket) })).filter((day) => day.efficiencyRatio !== null);
  if (known.length < 2) return h("span", { class: "muted" }, "–");
  const [width, height, low, high] = [120, 28, 0.6, 1];
  const x = (index) => 2 + (index * (width - 4)) / Math.max(1, trend.length - 1);
  const y = (ratio) => 2 + ((high - Math.min(high, Math.max(low, ratio))) * (height - 4)) / (high - low);
  const line = (days, name) => svg("polyline", { class: name, points: days.map((day) => `${x(day.index).toFixed(1)},${y(day.efficiencyRatio).toFixed(1)}`).join(" ") });
  const isOpen = known.at(-1).start >= new Date(todayStart);
  const words = (day) => `${format.percent(day.efficiencyRatio)} on ${format.day(day.start)}`;
  const text = `${words(known[0])}, ${words(known.at(-1))}${isOpen ? " so far" : ""}`;
  return svg("svg", { class: "spark", "data-status": status, viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": text },
    svg("title", null, text),
    line(isOpen ? known.slice(0, -1) : known),
    isOpen ? line(known.slice(-2), "open") : null);
}

/** A card with a table; `nothing` is said without rows, unless update gets another text. */
function card(title, file, columns, note, nothing = "") {
  let rows = [];
  const table = createTable(title, columns);
  const blank = h("p", { class: "blank" });
  const element = h("section", { class: "card" },
    h("div", { class: "heading" }, h("h2", null, title), csvLink(file, columns, () => rows)),
    note ? h("p", { class: "note" }, note) : null, blank, table.element);
  return {
    element,
    update(newRows, blankText = nothing) {
      rows = newRows;
      blank.hidden = rows.length > 0;
      blank.textContent = blank.hidden ? "" : blankText;
      table.element.hidden = rows.length === 0;
      table.update(rows);
    },
  };
}

const deviceLink = (kind, id) => h("a", { href: `#/${kind}/${encodeURIComponent(id)}` }, id);

export function worstTable() {
  return card("Lowest efficiency, 24 hours", "worst-vehicles", [
    { name: "Vehicle", csv: "vehicleId", kind: "text", value: (r) => r.vehicleId, show: (r) => deviceLink("vehicle", r.vehicleId) },
    { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) },
    { name: "Status", csv: "efficiencyStatus", kind: "text", value: (r) => r.efficiencyStatus, show: (r) => badge(r.efficiencyStatus) },
    { name: "14 days", csv: "trend", kind: "text", value: (r) => r.trend.map((d) => d.efficiencyRatio ?? "").join(" "), show: (r) => sparkline(r.trend, r.efficiencyStatus, r.todayStart) },
    { name: "AC, kWh", csv: "kwhConsumedAc", value: (r) => r.kwhConsumedAc, show: (r) => format.number(r.kwhConsumedAc, 1) },
    { name: "DC, kWh", csv: "kwhDeliveredDc", value: (r) => r.kwhDeliveredDc, show: (r) => format.number(r.kwhDeliveredDc, 1) },
    { name: "Lost, kWh", csv: "kwhLost", value: (r) => r.kwhConsumedAc - r.kwhDeliveredDc, show: (r) => format.number(r.kwhConsumedAc - r.kwhDeliveredDc, 1) },
  ], ["Vehicles that lose the largest share of what they draw; idle and unknown ones have no efficiency. ",
    h("a", { href: listAddress("vehicles", { status: "low" }) }, "All with a low efficiency")]);
}

export function silentTable() {
  return card("Silent devices", "silent-devices", [
    { name: "Device", csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: (r) => deviceLink(r.kind, r.deviceId) },
    { name: "Kind", csv: "kind", kind: "text", value: (r) => r.kind },
    { name: "Newest reading", csv: "recordedAt", kind: "text", value: (r) => r.recordedAt, show: (r) => `${format.dateTime(new Date(r.recordedAt))}, ${format.ago(new Date(r.recordedAt))}` },
    { name: "Expected every", csv: "expectedIntervalS", value: (r) => r.expectedIntervalS, show: (r) => format.duration(r.expectedIntervalS) },
  ], ["No reading for several of their expected intervals; the last to fall silent come first. ",
    h("a", { href: listAddress("devices", { status: "silent", sort: "-timestamp" }) }, "All silent devices")], "Every device reports.");
}

export function rejectedTable() {
  return card("Rejected readings, 24 hours", "rejected-readings", [
    { name: "Reason", csv: "code", kind: "text", value: (r) => r.code, show: (r) => r.code.replaceAll("_", " ") + (r.isStored ? ", a measure (stored without it)" : "") },
    { name: "Readings", csv: "readings", value: (r) => r.readings, show: (r) => format.number(r.readings) },
    { name: "Newest", csv: "newest", kind: "text", value: (r) => r.newest, show: (r) => format.dateTime(new Date(r.newest)) },
  ], "energy rejected list shows them; energy rejected replay sends again what was not stored", "No reading was rejected.");
}
