// A meter's page: the energy drawn, and the band of its voltage.

import { bandOf, bucketsOf, column, devicePage, energyScale, pick, when } from "./device.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { createTile } from "./tile.js";

function figuresOf(id, range) {
  const { middle, pad, length } = bucketsOf(range);
  return [
    createFigure({
      title: "Energy", note: `AC consumed, kWh in ${length}`, file: `${id}-energy`,
      columns: [when, column("AC, kWh", "kwhConsumedAc", 3), column("Readings", "readings", 0)],
      chart: (rows) => rows.length ? {
        x: middle(rows), data: [pick(rows, "kwhConsumedAc")], series: [{ label: "AC consumed", colour: "ac", bars: 0, share: 0.8 }], ...energyScale, pad,
      } : null,
    }),
    createFigure({
      title: "Voltage", note: "Lowest, mean and highest, V", file: `${id}-voltage`,
      columns: [when, column("Lowest, V", "voltageMin", 1), column("Mean, V", "voltageAvg", 1), column("Highest, V", "voltageMax", 1)],
      chart: (rows) => rows.length ? {
        x: middle(rows), data: [pick(rows, "voltageMax"), pick(rows, "voltageMin"), pick(rows, "voltageAvg")], ...bandOf("V", "ac"), pad,
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
      const low = Math.min(...pick(buckets, "voltageMin"));
      const high = Math.max(...pick(buckets, "voltageMax"));
      tiles.band.update(buckets.length ? `${format.number(low, 1)}–${format.number(high, 1)}` : "–", "V", "");
    },
  };
}

export const meterPage = (signal, id, query) =>
  devicePage({ kind: "meter", source: "/v1/history/meter", signal, id, query, make: (range) => make(id, range) });
