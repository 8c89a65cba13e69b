// A vehicle's page: AC beside DC, efficiency, its battery, and its meter over time.

import { get, pathOf } from "./api.js";
import { h } from "./dom.js";
import { createFigure } from "./figure.js";
import { badge } from "./fleet_tables.js";
import * as format from "./format.js";
import { RANGES, rangeLinks, rangeOf } from "./ranges.js";
import { createTable } from "./table.js";
import { createTile } from "./tile.js";

const BUCKETS_EVERY_MS = 30_000;

const column = (name, csv, decimals, kind) => ({ name, csv, kind, value: (r) => r[csv], show: (r) => (kind ? r[csv] ?? "–" : format.number(r[csv], decimals)) });
const when = { name: "From", csv: "bucket", kind: "text", value: (r) => r.bucket, show: (r) => format.dateTime(new Date(r.bucket)) };
const ratioColumn = { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) };

function figuresOf(id, range) {
  const middle = (rows) => rows.map((row) => Date.parse(row.bucket) / 1000 + range.bucketS / 2);
  const pick = (rows, name) => rows.map((row) => row[name]);
  const pad = range.bucketS / 2;
  const has = (rows, ...names) => rows.some((row) => names.some((name) => row[name] !== null));
  return [
    createFigure({
      title: "Energy", note: `AC consumed beside DC delivered, kWh in ${range.bucketS === 900 ? "15 minutes" : range.bucketS === 3600 ? "an hour" : "a day"}`, file: `${id}-energy`,
      columns: [when, column("Meter", "meterId", 0, "text"), column("AC, kWh", "kwhConsumedAc", 3), column("DC, kWh", "kwhDeliveredDc", 3)],
      chart: (rows) => has(rows, "kwhConsumedAc", "kwhDeliveredDc") ? {
        x: middle(rows), data: [pick(rows, "kwhConsumedAc"), pick(rows, "kwhDeliveredDc")],
        series: [{ label: "AC consumed", colour: "ac", bars: -1, share: rows.length > 60 ? 0.5 : 0.4 }, { label: "DC delivered", colour: "dc", bars: 1, share: rows.length > 60 ? 0.5 : 0.4 }],
        unit: (v) => format.number(v, v > 0 && v < 5 ? 1 : 0), value: (v) => `${format.number(v, 2)} kWh`, pad,
      } : null,
    }),
    createFigure({
      title: "Efficiency", note: "DC delivered / AC consumed, of the times in which energy was delivered", file: `${id}-efficiency`,
      columns: [when, ratioColumn, column("Status", "efficiencyStatus", 0, "text")],
      blank: "Nothing was delivered, or one side is not known.",
      chart: (rows) => {
        const ratios = rows.map((row) => (row.kwhDeliveredDc > 0 && row.efficiencyRatio !== null ? row.efficiencyRatio * 100 : null));
        if (!ratios.some((ratio) => ratio !== null)) return null;
        return {
          x: middle(rows), data: [ratios], series: [{ label: "Efficiency", colour: "normal", points: true }],
          unit: (v) => `${format.number(v)} %`, value: (v) => `${format.number(v, 1)} %`, pad,
          range: (_u, low, high) => [Math.min(70, Math.max(0, low - 5)), Math.max(105, high + 2)],
          lines: [{ at: 85, colour: "low", label: "85 %" }, { at: 100, colour: "muted", label: "100 %" }],
        };
      },
    }),
    createFigure({
      title: "Battery temperature", note: "Lowest, mean and highest, °C", file: `${id}-battery`,
      columns: [when, column("Lowest, °C", "batteryTempMin", 1), column("Mean, °C", "batteryTempAvg", 1), column("Highest, °C", "batteryTempMax", 1)],
      chart: (rows) => has(rows, "batteryTempAvg") ? {
        x: middle(rows), data: [pick(rows, "batteryTempMax"), pick(rows, "batteryTempMin"), pick(rows, "batteryTempAvg")],
        series: [{ label: "Highest", colour: "edge", width: 1 }, { label: "Lowest", colour: "edge", width: 1 }, { label: "Mean", colour: "heat" }],
        bands: [{ series: [1, 2], colour: "band" }], unit: (v) => `${format.number(v)} °C`, value: (v) => `${format.number(v, 1)} °C`, pad,
        range: (_u, low, high) => [Math.floor(low - 2), Math.ceil(high + 2)],
      } : null,
    }),
    createFigure({
      title: "State of charge", note: "At the last reading, %", file: `${id}-charge`,
      columns: [when, column("First, %", "socFirst", 1), column("Last, %", "socLast", 1)],
      chart: (rows) => has(rows, "socLast") ? {
        x: middle(rows), data: [pick(rows, "socLast")], series: [{ label: "State of charge", colour: "ac" }],
        unit: (v) => `${format.number(v)} %`, value: (v) => `${format.number(v, 1)} %`, pad, range: () => [0, 100],
      } : null,
    }),
  ];
}

function metersCard(links) {
  const edge = (text, open) => (text ? format.dateTime(new Date(text)) : open);
  const table = createTable("The meters that feed it", [
    { name: "Meter", kind: "text", value: (r) => r.meterId, show: (r) => h("a", { href: `#/meter/${encodeURIComponent(r.meterId)}` }, r.meterId) },
    { name: "From", kind: "text", value: (r) => edge(r.from, "the beginning") },
    { name: "Until", kind: "text", value: (r) => edge(r.until, "now") },
    { name: "Because", kind: "text", value: (r) => (r.origin === "link" ? "it is linked" : "of its id") },
  ]);
  table.update(links);
  return h("section", { class: "card" }, h("h2", null, "Its meter over time"),
    links.length ? table.element : h("p", { class: "blank" }, "No meter feeds it: its efficiency is not known."));
}

export async function vehiclePage(signal, id, query) {
  const chosen = rangeOf(query);
  const range = RANGES[chosen];
  const parameters = { resolution: range.resolution, hours: range.hours };
  const ask = () => get(pathOf("/v1/analytics/efficiency", id), parameters, signal);
  const status = await get(pathOf("/v1/status/vehicle", id), {}, signal);
  let buckets = (await ask()).items;
  const links = (await get(pathOf("/v1/links", id), {}, signal)).items;
  let askedAt = Date.now();
  let receivedAt = null;
  const tiles = { soc: createTile("State of charge"), power: createTile("Charging"), heat: createTile("Battery"), meter: createTile("Its meter"), ratio: createTile(`Efficiency, ${range.name.toLowerCase()}`) };
  const figures = figuresOf(id, range);

  function showStatus(s) {
    const at = new Date(s.timestamp);
    tiles.soc.update(format.number(s.soc, 1), "%", `at ${format.seconds(at)}, ${format.ago(at)}`);
    tiles.power.update(s.charging ? "yes" : "no", "", `${format.number(s.kwhDeliveredDc, 3)} kWh in its last interval`);
    tiles.heat.update(format.number(s.batteryTemp, 1), "°C", s.batteryTemp >= 45 ? "hot" : "", s.batteryTemp >= 45);
    tiles.meter.update(format.number(s.meterVoltage, 0), "V", s.meterId ? `${s.meterId}, ${s.meterTimestamp ? format.ago(new Date(s.meterTimestamp)) : "no reading"}` : "no meter feeds it");
  }

  function showBuckets() {
    // as the service has it: both sides known, or nothing is
    const both = buckets.filter((row) => row.kwhConsumedAc !== null && row.kwhDeliveredDc !== null);
    const sum = (name) => both.reduce((total, row) => total + row[name], 0);
    const ac = sum("kwhConsumedAc");
    const ratio = ac > 0 ? sum("kwhDeliveredDc") / ac : null;
    const word = ratio === null ? "unknown" : ratio < 0.85 ? "low" : ratio <= 1 ? "normal" : "impossible";
    tiles.ratio.update(format.percent(ratio), badge(word), both.length ? `${format.number(ac, 1)} kWh AC` : "one side is not known");
    figures.forEach((figure) => figure.update(buckets));
  }

  showStatus(status);
  showBuckets();
  return {
    title: `Vehicle ${id}`,
    element: h("div", { class: "page" }, h("h1", null, "Vehicle ", h("span", { class: "id" }, id)), rangeLinks(`#/vehicle/${encodeURIComponent(id)}`, chosen),
      h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
      h("div", { class: "two" }, figures.map((figure) => figure.element)), metersCard(links)),
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt) return;
      receivedAt = pulse.lastReceivedAt;
      showStatus(await get(pathOf("/v1/status/vehicle", id), {}, signal));
      if (Date.now() - askedAt < BUCKETS_EVERY_MS) return;
      askedAt = Date.now();
      buckets = (await ask()).items;
      showBuckets();
    },
    leave: () => figures.forEach((figure) => figure.destroy()),
  };
}
