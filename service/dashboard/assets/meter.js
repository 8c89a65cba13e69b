// A meter's page: the energy drawn, and the band of its voltage.

import { get, pathOf } from "./api.js";
import { h } from "./dom.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { RANGES, rangeLinks, rangeOf } from "./ranges.js";
import { createTile } from "./tile.js";

const BUCKETS_EVERY_MS = 30_000;

const column = (name, csv, decimals) => ({ name, csv, value: (r) => r[csv], show: (r) => format.number(r[csv], decimals) });
const when = { name: "From", csv: "bucket", kind: "text", value: (r) => r.bucket, show: (r) => format.dateTime(new Date(r.bucket)) };

function figuresOf(id, range) {
  const middle = (rows) => rows.map((row) => Date.parse(row.bucket) / 1000 + range.bucketS / 2);
  const pick = (rows, name) => rows.map((row) => row[name]);
  const pad = range.bucketS / 2;
  return [
    createFigure({
      title: "Energy", note: `AC consumed, kWh in ${range.bucketS === 900 ? "15 minutes" : range.bucketS === 3600 ? "an hour" : "a day"}`, file: `${id}-energy`,
      columns: [when, column("AC, kWh", "kwhConsumedAc", 3), column("Readings", "readings", 0)],
      chart: (rows) => rows.length ? {
        x: middle(rows), data: [pick(rows, "kwhConsumedAc")], series: [{ label: "AC consumed", colour: "ac", bars: 0, share: 0.8 }],
        unit: (v) => format.number(v, v > 0 && v < 5 ? 1 : 0), value: (v) => `${format.number(v, 2)} kWh`, pad,
      } : null,
    }),
    createFigure({
      title: "Voltage", note: "Lowest, mean and highest, V", file: `${id}-voltage`,
      columns: [when, column("Lowest, V", "voltageMin", 1), column("Mean, V", "voltageAvg", 1), column("Highest, V", "voltageMax", 1)],
      chart: (rows) => rows.length ? {
        x: middle(rows), data: [pick(rows, "voltageMax"), pick(rows, "voltageMin"), pick(rows, "voltageAvg")],
        series: [{ label: "Highest", colour: "edge", width: 1 }, { label: "Lowest", colour: "edge", width: 1 }, { label: "Mean", colour: "ac" }],
        bands: [{ series: [1, 2], colour: "band" }], unit: (v) => `${format.number(v)} V`, value: (v) => `${format.number(v, 1)} V`, pad,
        range: (_u, low, high) => [Math.floor(low - 2), Math.ceil(high + 2)],
      } : null,
    }),
  ];
}

export async function meterPage(signal, id, query) {
  const chosen = rangeOf(query);
  const range = RANGES[chosen];
  const ask = () => get(pathOf("/v1/history/meter", id), { resolution: range.resolution, hours: range.hours }, signal);
  const status = await get(pathOf("/v1/status/meter", id), {}, signal);
  let buckets = (await ask()).items;
  let askedAt = Date.now();
  let receivedAt = null;
  const tiles = { voltage: createTile("Voltage"), energy: createTile("Last interval"), sum: createTile(`Energy, ${range.name.toLowerCase()}`), band: createTile("Voltage, lowest to highest") };
  const figures = figuresOf(id, range);

  function showStatus(s) {
    const at = new Date(s.timestamp);
    tiles.voltage.update(format.number(s.voltage, 1), "V", `at ${format.dateTime(at)}, ${format.ago(at)}`);
    tiles.energy.update(format.number(s.kwhConsumedAc, 3), "kWh", "");
  }

  function showBuckets() {
    const { value, unit } = format.energy(buckets.length ? buckets.reduce((total, row) => total + row.kwhConsumedAc, 0) : null);
    tiles.sum.update(value, unit, `${format.number(buckets.reduce((total, row) => total + row.readings, 0))} readings`);
    const low = Math.min(...buckets.map((row) => row.voltageMin));
    const high = Math.max(...buckets.map((row) => row.voltageMax));
    tiles.band.update(buckets.length ? `${format.number(low, 1)}–${format.number(high, 1)}` : "–", "V", "");
    figures.forEach((figure) => figure.update(buckets));
  }

  showStatus(status);
  showBuckets();
  return {
    title: `Meter ${id}`,
    element: h("div", { class: "page" }, h("h1", null, "Meter ", h("span", { class: "id" }, id)), rangeLinks(`#/meter/${encodeURIComponent(id)}`, chosen),
      h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
      h("div", { class: "two" }, figures.map((figure) => figure.element))),
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt) return;
      receivedAt = pulse.lastReceivedAt;
      showStatus(await get(pathOf("/v1/status/meter", id), {}, signal));
      if (Date.now() - askedAt < BUCKETS_EVERY_MS) return;
      askedAt = Date.now();
      buckets = (await ask()).items;
      showBuckets();
    },
    leave: () => figures.forEach((figure) => figure.destroy()),
  };
}
