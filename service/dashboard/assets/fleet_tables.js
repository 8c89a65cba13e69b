// The tables of the fleet page: the worst vehicles with their trend, silent devices, refused readings.

import { h, svg } from "./dom.js";
import * as format from "./format.js";
import { createTable, csvLink } from "./table.js";

const MEANING = { low: "below 85 %: a fault or leakage", normal: "85 to 100 %", impossible: "above 100 %: impossible", unknown: "one side is not known" };

/** A status in a word, with what it means. */
export function badge(status) {
  return h("span", { class: "badge", "data-status": status, title: MEANING[status] }, status);
}

/** Efficiency day by day as a line, with the 85 % line; the words say what it shows. */
function sparkline(trend, status) {
  const known = trend.map((day, index) => [index, day.efficiencyRatio]).filter(([, ratio]) => ratio !== null);
  if (known.length < 2) return h("span", { class: "muted" }, "–");
  const [width, height, low, high] = [120, 28, 0.6, 1];
  const x = (index) => 2 + (index * (width - 4)) / Math.max(1, trend.length - 1);
  const y = (ratio) => 2 + ((high - Math.min(high, Math.max(low, ratio))) * (height - 4)) / (high - low);
  const points = known.map(([index, ratio]) => `${x(index).toFixed(1)},${y(ratio).toFixed(1)}`);
  const text = `${format.percent(known[0][1])} on ${format.day(new Date(trend[known[0][0]].bucket))}, ${format.percent(known.at(-1)[1])} on ${format.day(new Date(trend[known.at(-1)[0]].bucket))}`;
  return svg("svg", { class: "spark", "data-status": status, viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": text },
    svg("title", null, text),
    svg("line", { x1: 0, x2: width, y1: y(0.85), y2: y(0.85) }),
    svg("polyline", { points: points.join(" ") }));
}

function card(title, file, columns, nothing, note) {
  let rows = [];
  const table = createTable(title, columns);
  const blank = h("p", { class: "blank" }, nothing);
  const element = h("section", { class: "card" },
    h("div", { class: "heading" }, h("h2", null, title), csvLink(file, columns, () => rows)),
    note ? h("p", { class: "note" }, note) : null, blank, table.element);
  return {
    element,
    update(newRows) {
      rows = newRows;
      blank.hidden = rows.length > 0;
      table.element.hidden = rows.length === 0;
      table.update(rows);
    },
  };
}

const deviceLink = (stream, id) => h("a", { href: `#/${stream}/${encodeURIComponent(id)}` }, id);

export function worstTable() {
  return card("Lowest efficiency, 24 hours", "worst-vehicles", [
    { name: "Vehicle", csv: "vehicleId", kind: "text", value: (r) => r.vehicleId, show: (r) => deviceLink("vehicle", r.vehicleId) },
    { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) },
    { name: "Status", csv: "efficiencyStatus", kind: "text", value: (r) => r.efficiencyStatus, show: (r) => badge(r.efficiencyStatus) },
    { name: "14 days", csv: "trend", kind: "text", value: (r) => r.trend.map((d) => d.efficiencyRatio ?? "").join(" "), show: (r) => sparkline(r.trend, r.efficiencyStatus) },
    { name: "AC, kWh", csv: "kwhConsumedAc", value: (r) => r.kwhConsumedAc, show: (r) => format.number(r.kwhConsumedAc, 1) },
    { name: "DC, kWh", csv: "kwhDeliveredDc", value: (r) => r.kwhDeliveredDc, show: (r) => format.number(r.kwhDeliveredDc, 1) },
    { name: "Lost, kWh", csv: "kwhLost", value: (r) => r.kwhConsumedAc - r.kwhDeliveredDc, show: (r) => format.number(r.kwhConsumedAc - r.kwhDeliveredDc, 1) },
  ], "No vehicle was charged in this time.", "The dashed line is 85 %");
}

export function silentTable() {
  return card("Silent devices", "silent-devices", [
    { name: "Device", csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: (r) => deviceLink(r.stream, r.deviceId) },
    { name: "Kind", csv: "stream", kind: "text", value: (r) => r.stream },
    { name: "Newest reading", csv: "recordedAt", kind: "text", value: (r) => r.recordedAt, show: (r) => format.dateTime(new Date(r.recordedAt)) },
    { name: "Ago", csv: "expectedIntervalS", value: (r) => r.expectedIntervalS, show: (r) => format.ago(new Date(r.recordedAt)) },
  ], "Every device reports.", "More than 5 of their intervals without a reading; those that fell silent last");
}

export function refusedTable() {
  return card("Refused readings, 24 hours", "refused-readings", [
    { name: "Reason", csv: "code", kind: "text", value: (r) => r.code, show: (r) => r.code.replaceAll("_", " ") },
    { name: "Readings", csv: "readings", value: (r) => r.readings, show: (r) => format.number(r.readings) },
    { name: "Newest", csv: "newest", kind: "text", value: (r) => r.newest, show: (r) => format.dateTime(new Date(r.newest)) },
  ], "Nothing was refused.", "energy rejected list shows them, and sends them again");
}
