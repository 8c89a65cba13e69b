// A vehicle's page: AC beside DC, efficiency, its battery, and its meter over time.

import { get, pathOf } from "./api.js";
import { bandOf, bucketsOf, column, devicePage, energyScale, pick, when } from "./device.js";
import { h } from "./dom.js";
import { createFigure } from "./figure.js";
import { badge } from "./fleet_tables.js";
import * as format from "./format.js";
import { createTable } from "./table.js";
import { createTile } from "./tile.js";

const textColumn = (name, csv) => ({ name, csv, kind: "text", value: (r) => r[csv], show: (r) => r[csv] ?? "–" });
const ratioColumn = { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) };

function figuresOf(id, range) {
  const { middle, pad, length } = bucketsOf(range);
  const has = (rows, ...names) => rows.some((row) => names.some((name) => row[name] !== null));
  return [
    createFigure({
      title: "Energy", note: `AC consumed beside DC delivered, kWh in ${length}`, file: `${id}-energy`,
      columns: [when, textColumn("Meter", "meterId"), column("AC, kWh", "kwhConsumedAc", 3), column("DC, kWh", "kwhDeliveredDc", 3)],
      chart: (rows) => has(rows, "kwhConsumedAc", "kwhDeliveredDc") ? {
        x: middle(rows), data: [pick(rows, "kwhConsumedAc"), pick(rows, "kwhDeliveredDc")],
        series: [{ label: "AC consumed", colour: "ac", bars: -1, share: rows.length > 60 ? 0.5 : 0.4 }, { label: "DC delivered", colour: "dc", bars: 1, share: rows.length > 60 ? 0.5 : 0.4 }],
        ...energyScale, pad,
      } : null,
    }),
    createFigure({
      title: "Efficiency", note: "DC delivered / AC consumed, of the times in which energy was delivered", file: `${id}-efficiency`,
      columns: [when, ratioColumn, textColumn("Status", "efficiencyStatus")],
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
        ...bandOf("°C", "heat"), pad,
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

function make(id, range) {
  const tiles = { soc: createTile("State of charge"), power: createTile("Charging"), heat: createTile("Battery"), meter: createTile("Its meter"), ratio: createTile(`Efficiency, ${range.name.toLowerCase()}`) };
  return {
    tiles,
    figures: figuresOf(id, range),
    showStatus(s) {
      const at = new Date(s.timestamp);
      tiles.soc.update(format.number(s.soc, 1), "%", `at ${format.seconds(at)}, ${format.ago(at)}`);
      tiles.power.update(s.charging ? "yes" : "no", "", `${format.number(s.kwhDeliveredDc, 3)} kWh in its last interval`);
      tiles.heat.update(format.number(s.batteryTemp, 1), "°C", s.batteryTemp >= 45 ? "hot" : "", s.batteryTemp >= 45);
      tiles.meter.update(format.number(s.meterVoltage, 0), "V", s.meterId ? `${s.meterId}, ${s.meterTimestamp ? format.ago(new Date(s.meterTimestamp)) : "no reading"}` : "no meter feeds it");
    },
    showBuckets(buckets) {
      // as the service has it: both sides known, or nothing is
      const both = buckets.filter((row) => row.kwhConsumedAc !== null && row.kwhDeliveredDc !== null);
      const sum = (name) => both.reduce((total, row) => total + row[name], 0);
      const ac = sum("kwhConsumedAc");
      const ratio = ac > 0 ? sum("kwhDeliveredDc") / ac : null;
      const word = ratio === null ? "unknown" : ratio < 0.85 ? "low" : ratio <= 1 ? "normal" : "impossible";
      tiles.ratio.update(format.percent(ratio), badge(word), both.length ? `${format.number(ac, 1)} kWh AC` : "one side is not known");
    },
  };
}

export const vehiclePage = (signal, id, query) => devicePage({
  kind: "vehicle", source: "/v1/analytics/efficiency", signal, id, query, make: (range) => make(id, range),
  below: async () => metersCard((await get(pathOf("/v1/links", id), {}, signal)).items),
});
