// A vehicle's page: AC beside DC, efficiency, its battery, and its meter over time.

import { get, pathOf } from "./api.js";
import * as axis from "./axis.js";
import { bandChart, energyChart, overTime, pick, place, powerColumn, withHours } from "./buckets.js";
import { column, deviceColumn, deviceLink, ratioColumn, statusColumn, textColumn, timeColumn, whenColumns } from "./columns.js";
import { devicePage, tableCard } from "./device.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { createMonths } from "./months.js";
import { createSessionsCard } from "./sessions.js";
import { badge } from "./status.js";
import { createTile } from "./tile.js";

const MONTHS = 12;
const SIDES = { kwhConsumedAc: { label: "AC consumed", colour: "ac", bars: -1 }, kwhDeliveredDc: { label: "DC delivered", colour: "dc", bars: 1 } };

/** The meters that fed the vehicle in these buckets, as links with commas between them. */
function meterLinks(rows) {
  const ids = [...new Set(pick(rows, "meterId"))].filter((id) => id !== null);
  return ids.flatMap((id, i) => [i ? ", " : "", deviceLink("meter", id)]);
}

function energyNote(rows, { buckets }) {
  const meters = meterLinks(rows);
  return [`AC consumed${meters.length ? " (meter " : ""}`, ...meters, `${meters.length ? ")" : ""} beside DC delivered, kWh in ${buckets.length}, and the mean power`];
}

const energyFigure = (id) => createFigure({
  title: "Energy", file: `${id}-energy`, note: energyNote,
  columns: [...whenColumns("From"), textColumn("Meter", "meterId"), column("AC, kWh", "kwhConsumedAc", 3), column("DC, kWh", "kwhDeliveredDc", 3), powerColumn("AC, kW", "kwAc", "kwhConsumedAc"), powerColumn("DC, kW", "kwDc", "kwhDeliveredDc")],
  chart: overTime((rows, range) => energyChart(rows, range, SIDES), "kwhConsumedAc", "kwhDeliveredDc"),
});

/** A ratio in percent; null and undefined stay as they are. */
const percents = (ratio) => (typeof ratio === "number" ? ratio * 100 : ratio);

/** One line, in the colour of the status of each bucket that has an efficiency. */
const efficiencyChart = overTime((rows, range) => ({
  ...place(rows, range), data: [pick(rows, "efficiencyRatio").map(percents)],
  series: [{ label: "Efficiency", colour: "normal", points: true, colours: rows.map((row) => typeof row.efficiencyRatio === "number" && row.efficiencyStatus) }],
  axis: axis.inUnit("%"), value: (v, i) => `${format.number(v, 1)} % ${rows[i].efficiencyStatus}`,
  range: (_u, low, high) => [Math.min(70, Math.max(0, low - 5)), Math.max(105, high + 2)],
}), "efficiencyRatio");

const efficiencyFigure = (id) => createFigure({
  title: "Efficiency", note: "DC delivered / AC consumed; red where it is low; idle and unknown times have none", file: `${id}-efficiency`,
  columns: [...whenColumns("From"), ratioColumn, statusColumn],
  blank: "The vehicle has no efficiency in this time. The table has the statuses.",
  chart: efficiencyChart,
});

const batteryFigure = (id) => createFigure({
  title: "Battery temperature", note: "Lowest, mean and highest, °C", file: `${id}-battery`,
  columns: [...whenColumns("From"), column("Lowest, °C", "batteryTempMin", 1), column("Mean, °C", "batteryTempAvg", 1), column("Highest, °C", "batteryTempMax", 1)],
  blank: "No battery temperature was measured in this time.",
  chart: overTime((rows, range) => bandChart(rows, range, ["batteryTempMin", "batteryTempAvg", "batteryTempMax"], "°C", "heat"), "batteryTempAvg"),
});

const chargeFigure = (id) => createFigure({
  title: "State of charge", note: "At the last reading, %", file: `${id}-charge`,
  columns: [...whenColumns("From"), column("First, %", "socFirst", 1), column("Last, %", "socLast", 1)],
  blank: "No state of charge was measured in this time.",
  chart: overTime((rows, range) => ({
    ...place(rows, range), data: [pick(rows, "socLast")], series: [{ label: "State of charge", colour: "ac" }],
    axis: axis.inUnit("%"), value: (v) => `${format.number(v, 1)} %`, range: () => [0, 100],
  }), "socLast"),
});

const metersCard = (links) => tableCard("Its meter over time", [
  deviceColumn("Meter", "meter", "meterId"),
  timeColumn("From", "from", "the beginning"),
  timeColumn("Until", "until", "now"),
  { name: "Assigned", kind: "text", value: (r) => (r.origin === "link" ? "by a link" : "by matching id") },
], links, "No meter feeds the vehicle, so its efficiency is unknown.");

function parts(id) {
  const tiles = { soc: createTile("State of charge"), power: createTile("Charging"), heat: createTile("Battery"), meter: createTile("Its meter"), ratio: createTile("Efficiency in this time") };
  return {
    tiles,
    figures: [energyFigure(id), efficiencyFigure(id), batteryFigure(id), chargeFigure(id)],
    showStatus(s) {
      const at = new Date(s.timestamp);
      tiles.soc.update(format.number(s.soc, 1), "%", `${format.when(at)}, ${format.ago(at)}`);
      tiles.power.update(s.charging ? "yes" : "no", "", `${format.number(s.kwhDeliveredDc, 3)} kWh in its last interval`);
      tiles.heat.update(format.number(s.batteryTemp, 1), "°C", "");
      tiles.meter.update(format.number(s.meterVoltage, 0), "V", s.meterId
        ? [deviceLink("meter", s.meterId), `, ${s.meterTimestamp ? format.ago(new Date(s.meterTimestamp)) : "no reading"}`]
        : "no meter feeds it");
    },
    showBuckets(_buckets, total) {
      const [ac, dc] = [total.totalEnergyConsumedAc, total.totalEnergyDeliveredDc];
      const missing = ac === null ? "no readings of its meter" : dc === null ? "no readings of the vehicle" : null;
      tiles.ratio.update(format.percent(total.efficiencyRatio), badge(total.efficiencyStatus), missing ?? `${format.number(dc, 1)} of ${format.number(ac, 1)} kWh`);
    },
  };
}

export const vehiclePage = (signal, id, query) => devicePage({
  kind: "vehicle", signal, id, query, ...parts(id), cards: [createSessionsCard(id, signal)],
  async ask(range) {
    const [{ items }, total] = await Promise.all([
      get(pathOf("/v1/analytics/efficiency", id), { resolution: range.buckets.resolution, ...range.window }, signal),
      get(pathOf("/v1/analytics/performance", id), range.window, signal),
    ]);
    return { buckets: withHours(items, range), total };
  },
  async more() {
    const months = createMonths(pathOf("/v1/analytics/cost", id), `${id}-months`, MONTHS, signal);
    const [{ items }] = await Promise.all([get(pathOf("/v1/links", id), {}, signal), months.load()]);
    return [months.element, metersCard(items)];
  },
});
