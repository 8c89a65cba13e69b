// The columns of the lists. A heading that orders the list is a link to that order, or to the opposite of it.

import { h } from "./dom.js";
import * as format from "./format.js";
import { badge } from "./status.js";

const deviceLink = (kind, id) => h("a", { href: `#/${kind}/${encodeURIComponent(id)}` }, id);
const measure = (name, csv, decimals) => ({ name, csv, value: (r) => r[csv], show: (r) => format.number(r[csv], decimals) });

const KIND = { name: "Kind", csv: "kind", kind: "text", value: (r) => r.kind };
const MEASURES = {
  vehicle: [measure("Charge, %", "soc", 1), measure("Battery, °C", "batteryTemp", 1), measure("Last interval, kWh", "kwh", 3)],
  meter: [measure("Voltage, V", "voltage", 1), measure("Last interval, kWh", "kwh", 3)],
};

/** A column by which the list can be ordered; `first` is the order of the first click. */
function ordered(column, { field, first }, order, addressOf) {
  const isCurrent = order.replace("-", "") === field;
  const opposite = order.startsWith("-") ? field : `-${field}`;
  const direction = order.startsWith("-") ? "descending" : "ascending";
  return {
    ...column,
    name: h("a", { href: addressOf(isCurrent ? opposite : first) }, column.name, isCurrent ? h("span", { "aria-hidden": "true" }, order.startsWith("-") ? " ↓" : " ↑") : null),
    order: isCurrent ? direction : null,
  };
}

/** The columns of a list of this kind (null: of both) in this order; `addressOf` gives the address of another order. */
export function deviceColumns(kind, order, addressOf) {
  const id = { name: kind === "meter" ? "Meter" : kind ? "Vehicle" : "Device", csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: (r) => deviceLink(r.kind, r.deviceId) };
  const seen = { name: "Newest reading", csv: "timestamp", kind: "text", value: (r) => r.timestamp, show: (r) => `${format.dateTime(new Date(r.timestamp))}, ${format.ago(new Date(r.timestamp))}` };
  return [
    ordered(id, { field: "deviceId", first: "deviceId" }, order, addressOf),
    ...(kind ? [] : [KIND]),
    { name: "Status", csv: "status", kind: "text", value: (r) => r.status, show: (r) => badge(r.status) },
    ordered(seen, { field: "timestamp", first: "-timestamp" }, order, addressOf),
    ...(kind ? MEASURES[kind] : []),
  ];
}

export const lowColumns = [
  { name: "Vehicle", csv: "vehicleId", kind: "text", value: (r) => r.vehicleId, show: (r) => deviceLink("vehicle", r.vehicleId) },
  { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) },
  { name: "Status", csv: "efficiencyStatus", kind: "text", value: (r) => r.efficiencyStatus, show: (r) => badge(r.efficiencyStatus) },
  measure("AC, kWh", "totalEnergyConsumedAc", 1),
  measure("DC, kWh", "totalEnergyDeliveredDc", 1),
];
