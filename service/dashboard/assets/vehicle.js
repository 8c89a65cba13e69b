// A vehicle's page: AC beside DC, efficiency, its battery, and its meter over time.

import { get, pathOf } from "./api.js";
import { bandOf, bucketsOf, column, devicePage, energyScale, has, pick, whenColumns } from "./device.js";
import { h } from "./dom.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { JUDGED, badge } from "./status.js";
import { createTable } from "./table.js";
import { createTile } from "./tile.js";

const textColumn = (name, csv) => ({ name, csv, kind: "text", value: (r) => r[csv], show: (r) => r[csv] ?? "–" });
const ratioColumn = { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) };

const statusColumn = { name: "Status", csv: "efficiencyStatus", kind: "text", value: (r) => r.efficiencyStatus, show: (r) => badge(r.efficiencyStatus) };

/** A line through all efficiencies, and a point on it in the colour of its status. */
function efficiencySeries(rows) {
  const ratios = rows.map((row) => (row.efficiencyRatio === null ? null : row.efficiencyRatio * 100));
  const found = JUDGED.filter((status) => rows.some((row, i) => ratios[i] !== null && row.efficiencyStatus === status));
  return {
    data: [ratios, ...found.map((status) => ratios.map((ratio, i) => (rows[i].efficiencyStatus === status ? ratio : null)))],
    series: [
      { label: "Efficiency", colour: "edge" },
      ...found.map((status) => ({ label: status[0].toUpperCase() + status.slice(1), colour: status, isPoints: true, isWhole: true })),
    ],
  };
}

function figuresOf(id, range) {
  const { place, length } = bucketsOf(range);
  return [
    createFigure({
      title: "Energy", note: `AC consumed beside DC delivered, kWh in ${length}`, file: `${id}-energy`,
      columns: [...whenColumns("From"), textColumn("Meter", "meterId"), column("AC, kWh", "kwhConsumedAc", 3), column("DC, kWh", "kwhDeliveredDc", 3)],
      chart: (rows) => has(rows, "kwhConsumedAc", "kwhDeliveredDc") ? {
        ...place(rows), data: [pick(rows, "kwhConsumedAc"), pick(rows, "kwhDeliveredDc")],
        series: [{ label: "AC consumed", colour: "ac", bars: -1, share: rows.length > 60 ? 0.5 : 0.4 }, { label: "DC delivered", colour: "dc", bars: 1, share: rows.length > 60 ? 0.5 : 0.4 }],
        ...energyScale,
      } : null,
    }),
    createFigure({
      title: "Efficiency", note: "DC delivered / AC consumed; idle and unknown times have none", file: `${id}-efficiency`,
      columns: [...whenColumns("From"), ratioColumn, statusColumn],
      blank: "The vehicle has no efficiency in this time. The table has the statuses.",
      chart: (rows) => has(rows, "efficiencyRatio") ? {
        ...place(rows), ...efficiencySeries(rows),
        unit: (v) => `${format.number(v)} %`, value: (v) => `${format.number(v, 1)} %`,
        range: (_u, low, high) => [Math.min(70, Math.max(0, low - 5)), Math.max(105, high + 2)],
      } : null,
    }),
    createFigure({
      title: "Battery temperature", note: "Lowest, mean and highest, °C", file: `${id}-battery`,
      columns: [...whenColumns("From"), column("Lowest, °C", "batteryTempMin", 1), column("Mean, °C", "batteryTempAvg", 1), column("Highest, °C", "batteryTempMax", 1)],
      blank: "No battery temperature was measured in this time.",
      chart: (rows) => has(rows, "batteryTempAvg") ? {
        ...place(rows), data: [pick(rows, "batteryTempMax"), pick(rows, "batteryTempMin"), pick(rows, "batteryTempAvg")],
        ...bandOf("°C", "heat"),
      } : null,
    }),
    createFigure({
      title: "State of charge", note: "At the last reading, %", file: `${id}-charge`,
      columns: [...whenColumns("From"), column("First, %", "socFirst", 1), column("Last, %", "socLast", 1)],
      blank: "No state of charge was measured in this time.",
      chart: (rows) => has(rows, "socLast") ? {
        ...place(rows), data: [pick(rows, "socLast")], series: [{ label: "State of charge", colour: "ac" }],
        unit: (v) => `${format.number(v)} %`, value: (v) => `${format.number(v, 1)} %`, range: () => [0, 100],
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
    { name: "Assigned", kind: "text", value: (r) => (r.origin === "link" ? "by a link" : "by matching id") },
  ]);
  table.update(links);
  return h("section", { class: "card" }, h("h2", null, "Its meter over time"),
    links.length ? table.element : h("p", { class: "blank" }, "No meter feeds the vehicle, so its efficiency is unknown."));
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
      tiles.heat.update(format.number(s.batteryTemp, 1), "°C", "");
      tiles.meter.update(format.number(s.meterVoltage, 0), "V", s.meterId ? `${s.meterId}, ${s.meterTimestamp ? format.ago(new Date(s.meterTimestamp)) : "no reading"}` : "no meter feeds it");
    },
    showBuckets(_buckets, total) {
      const [ac, dc] = [total.totalEnergyConsumedAc, total.totalEnergyDeliveredDc];
      const missing = ac === null ? "no readings of its meter" : dc === null ? "no readings of the vehicle" : null;
      tiles.ratio.update(format.percent(total.efficiencyRatio), badge(total.efficiencyStatus), missing ?? `${format.number(dc, 1)} of ${format.number(ac, 1)} kWh`);
    },
  };
}

export const vehiclePage = (signal, id, query) => devicePage({
  kind: "vehicle", signal, id, query, make: (range) => make(id, range),
  async ask(range) {
    const [{ items }, total] = await Promise.all([
      get(pathOf("/v1/analytics/efficiency", id), { resolution: range.resolution, hours: range.hours }, signal),
      get(pathOf("/v1/analytics/performance", id), { hours: range.hours }, signal),
    ]);
    return { buckets: items, total };
  },
  below: async () => metersCard((await get(pathOf("/v1/links", id), {}, signal)).items),
});
