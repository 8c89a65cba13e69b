// A meter's page: the energy drawn, the band of its voltage, and the vehicles that it feeds.

import { get, pathOf } from "./api.js";
import { bandChart, energyChart, overTime, pick, powerColumn, withHours } from "./buckets.js";
import { column, deviceColumn, deviceLink, timeColumn, whenColumns } from "./columns.js";
import { devicePage, tableCard } from "./device.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { createTile } from "./tile.js";

const SIDE = { kwhConsumedAc: { label: "AC consumed", colour: "ac", bars: 0, share: 0.8 } };
const OF_A_PAGE = 10_000;

const energyFigure = (id) => createFigure({
  title: "Energy", file: `${id}-energy`, note: (_rows, { buckets }) => [`AC consumed, kWh in ${buckets.length}, and the mean power`],
  columns: [...whenColumns("From"), column("AC, kWh", "kwhConsumedAc", 3), powerColumn("AC, kW", "kwAc", "kwhConsumedAc"), column("Readings", "readings", 0)],
  chart: overTime((rows, range) => energyChart(rows, range, SIDE), "kwhConsumedAc"),
});

const voltageFigure = (id) => createFigure({
  title: "Voltage", note: "Lowest, mean and highest, V", file: `${id}-voltage`,
  columns: [...whenColumns("From"), column("Lowest, V", "voltageMin", 1), column("Mean, V", "voltageAvg", 1), column("Highest, V", "voltageMax", 1)],
  blank: "No voltage was measured in this time.",
  chart: overTime((rows, range) => bandChart(rows, range, ["voltageMin", "voltageAvg", "voltageMax"], "V", "ac"), "voltageAvg"),
});

const vehiclesCard = (links) => tableCard("The vehicles that it feeds", [
  deviceColumn("Vehicle", "vehicle", "vehicleId"),
  timeColumn("From", "from", "the beginning"),
  timeColumn("Until", "until", "now"),
  { name: "Assigned", kind: "text", value: (r) => (r.origin === "link" ? "by a link" : "by matching id") },
], links, "The meter feeds no vehicle.");

function parts(id) {
  const tiles = { voltage: createTile("Voltage"), energy: createTile("Last interval"), vehicle: createTile("Its vehicle"), sum: createTile("Energy in this time"), band: createTile("Voltage, lowest to highest") };
  return {
    tiles,
    figures: [energyFigure(id), voltageFigure(id)],
    showStatus(s) {
      const at = new Date(s.timestamp);
      tiles.voltage.update(format.number(s.voltage, 1), "V", `${format.when(at)}, ${format.ago(at)}`);
      tiles.energy.update(format.number(s.kwhConsumedAc, 3), "kWh", "");
    },
    showBuckets(buckets) {
      const { value, unit } = format.energy(buckets.length ? buckets.reduce((total, row) => total + row.kwhConsumedAc, 0) : null);
      tiles.sum.update(value, unit, `${format.number(buckets.reduce((total, row) => total + row.readings, 0))} readings`);
      const measured = buckets.filter((row) => row.voltageMin !== null);
      const low = Math.min(...pick(measured, "voltageMin"));
      const high = Math.max(...pick(measured, "voltageMax"));
      tiles.band.update(measured.length ? `${format.number(low, 1)}–${format.number(high, 1)}` : "–", "V", "");
    },
  };
}

export function meterPage(signal, id, query) {
  const shown = parts(id);
  return devicePage({
    kind: "meter", signal, id, query, ...shown,
    async ask(range) {
      const { items } = await get(pathOf("/v1/history/meter", id), { resolution: range.buckets.resolution, ...range.window, limit: OF_A_PAGE }, signal);
      return { buckets: withHours(items, range) };
    },
    async more() {
      const { vehicleId, items } = await get(`${pathOf("/v1/devices/meter", id)}/vehicles`, {}, signal);
      shown.tiles.vehicle.update(vehicleId ? deviceLink("vehicle", vehicleId) : "none", "", "");
      return vehiclesCard(items);
    },
  });
}
