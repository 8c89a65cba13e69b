// The columns of the lists. A heading that orders the list is a link to that order, or to the opposite of it.

import { column, deviceColumn, deviceLink, ratioColumn, statusColumn, timeColumn } from "./columns.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { badge } from "./status.js";
import { headingOf } from "./table.js";

const KIND = { name: "Kind", csv: "kind", kind: "text", value: (r) => r.kind };
const MEASURES = {
  vehicle: [column("Charge, %", "soc", 1), column("Battery, °C", "batteryTemp", 1), column("Last interval, kWh", "kwh", 3)],
  meter: [column("Voltage, V", "voltage", 1), column("Last interval, kWh", "kwh", 3)],
};

/** A column by which the list can be ordered; `first` is the order of the first click. */
function ordered(one, { field, first }, order, addressOf) {
  const isCurrent = order.replace("-", "") === field;
  const opposite = order.startsWith("-") ? field : `-${field}`;
  const direction = order.startsWith("-") ? "descending" : "ascending";
  return {
    ...one,
    name: h("a", { href: addressOf(isCurrent ? opposite : first) }, headingOf(one), isCurrent ? h("span", { "aria-hidden": "true" }, order.startsWith("-") ? " ↓" : " ↑") : null),
    order: isCurrent ? direction : null,
  };
}

const ENERGY = column("Energy, 24 h, kWh", "kwh24h", 1);
const EFFICIENCY = { ...ratioColumn, name: "Efficiency, 24 h" };
const JUDGEMENT = { ...statusColumn, name: "Judged", show: (r) => (r.efficiencyStatus ? badge(r.efficiencyStatus) : "–") };

/** The orders of a list of this kind, each by the first that is chosen: the whole fleet is summed for the last ones. */
export const ordersOf = (kind) => ({
  deviceId: "By id", "-timestamp": "By newest reading", "-energy": "By energy, 24 h", ...(kind !== "meter" && { efficiency: "By efficiency, 24 h" }),
});

/** The columns of the last 24 hours, which a list in order of one of them has; that one comes first. */
function dayColumns(kind, order, addressOf) {
  if (!/energy|efficiency/.test(order)) return [];
  const energy = ordered(ENERGY, { field: "energy", first: "-energy" }, order, addressOf);
  if (kind === "meter") return [energy];
  const efficiency = [ordered(EFFICIENCY, { field: "efficiency", first: "efficiency" }, order, addressOf), JUDGEMENT];
  return order.endsWith("energy") ? [energy, ...efficiency] : [...efficiency, energy];
}

/** The columns of a list of this kind (null: of both) in this order; `addressOf` gives the address of another order. */
export function deviceColumns(kind, order, addressOf) {
  const id = { name: kind === "meter" ? "Meter" : kind ? "Vehicle" : "Device", csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: (r) => deviceLink(r.kind, r.deviceId) };
  const seen = { ...timeColumn("Newest reading", "timestamp"), show: (r) => `${format.dateTime(new Date(r.timestamp))}, ${format.ago(new Date(r.timestamp))}` };
  return [
    ordered(id, { field: "deviceId", first: "deviceId" }, order, addressOf),
    ...(kind ? [] : [KIND]),
    ...dayColumns(kind, order, addressOf),
    { name: "Status", csv: "status", kind: "text", value: (r) => r.status, show: (r) => badge(r.status) },
    ordered(seen, { field: "timestamp", first: "-timestamp" }, order, addressOf),
    ...(kind ? MEASURES[kind] : []),
  ];
}

export const lowColumns = [
  deviceColumn("Vehicle", "vehicle", "vehicleId"),
  ratioColumn,
  statusColumn,
  column("AC, kWh", "totalEnergyConsumedAc", 1),
  column("DC, kWh", "totalEnergyDeliveredDc", 1),
];
