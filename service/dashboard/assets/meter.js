// A meter's page: the energy drawn, and the band of its voltage.

import { get, pathOf } from "./api.js";
import { bandOf, bucketsOf, column, devicePage, energyScale, has, pick, whenColumns } from "./device.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { createTile } from "./tile.js";

function figuresOf(id, range) {
  const { place, length } = bucketsOf(range);
  return [
    createFigure({
      title: "Energy", note: `AC consumed, kWh in ${length}`, file: `${id}-energy`,
      columns: [...whenColumns("From"), column("AC, kWh", "kwhConsumedAc", 3), column("Readings", "readings", 0)],
      chart: (rows) => rows.length ? {
        ...place(rows), data: [pick(rows, "kwhConsumedAc")], series: [{ label: "AC consumed", colour: "ac", bars: 0, share: 0.8 }], ...energyScale,
      } : null,
    }),
    createFigure({
      title: "Voltage", note: "Lowest, mean and highest, V", file: `${id}-voltage`,
      columns: [...whenColumns("From"), column("Lowest, V", "voltageMin", 1), column("Mean, V", "voltageAvg", 1), column("Highest, V", "voltageMax", 1)],
      blank: "No voltage was measured in this time.",
      chart: (rows) => has(rows, "voltageAvg") ? {
        ...place(rows), data: [pick(rows, "voltageMax"), pick(rows, "voltageMin"), pick(rows, "voltageAvg")], ...bandOf("V", "ac"),
      } : null,
    }),
  ];
}

function make(id, range) {
  const tiles = { voltage: createTile("Voltage"), energy: createTile("Last interval"), sum: createTile(`Energy, ${range.name.toLowerCase()}`), band: createTile("Voltage, lowest to highest") };
  return {
    tiles,
    figures: figuresOf(id, range),
    showStatus(s) {
      const at = new Date(s.timestamp);
      tiles.voltage.update(format.number(s.voltage, 1), "V", `at ${format.dateTime(at)}, ${format.ago(at)}`);
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

export const meterPage = (signal, id, query) => devicePage({
  kind: "meter", signal, id, query, make: (range) => make(id, range),
  async ask(range) {
    const { items } = await get(pathOf("/v1/history/meter", id), { resolution: range.resolution, hours: range.hours }, signal);
    return { buckets: items };
  },
});
