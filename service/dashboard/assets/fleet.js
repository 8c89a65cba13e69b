// The fleet page: tiles that follow the pulse, and an overview that is asked again every now and then.

import { alertsAddress } from "./alerts.js";
import { get } from "./api.js";
import * as axis from "./axis.js";
import { energyChart, overTime, pick, powerColumn, withHours } from "./buckets.js";
import { column, whenColumns } from "./columns.js";
import { countedLine, countedToday, statusCounts, withoutEfficiency, withoutEnergy } from "./counted.js";
import { h } from "./dom.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { rejectedTable, silentTable, worstTable } from "./fleet_tables.js";
import { listAddress } from "./list.js";
import { HOURLY, rangeBetween } from "./range.js";
import { badge } from "./status.js";
import { createTile } from "./tile.js";

/** An overview costs the database more than a pulse. */
const OVERVIEW_EVERY_MS = 20_000;

function bandName(band) {
  return band.ratioTo === null ? "100 % and above" : `${format.number(band.ratioFrom * 100)} to ${format.number(band.ratioTo * 100)} %`;
}

const SIDES = { kwhConsumedAc: { label: "AC consumed", colour: "ac", bars: -1 }, kwhDeliveredDc: { label: "DC delivered", colour: "dc", bars: 1 } };

const energyFigure = () => createFigure({
  title: "Energy of the fleet, 24 hours", note: "kWh in an hour, and the mean power, of all vehicles and the meters that feed them", file: "fleet-energy",
  columns: [
    ...whenColumns("Hour"), column("AC, kWh", "kwhConsumedAc", 2), column("DC, kWh", "kwhDeliveredDc", 2),
    powerColumn("AC, kW", "kwAc", "kwhConsumedAc"), powerColumn("DC, kW", "kwDc", "kwhDeliveredDc"),
  ],
  chart: overTime((rows, range) => energyChart(rows, range, SIDES), "kwhConsumedAc", "kwhDeliveredDc"),
});

function distributionChart(rows) {
  if (!rows.some((row) => row.vehicles)) return null;
  const first = Math.min(10, rows.findIndex((row) => row.vehicles));
  const shown = rows.slice(first);
  const x = shown.map((row) => row.ratioFrom * 100 + 2.5);
  return {
    x, names: shown.map(bandName), xLabel: "Efficiency", span: [x[0] - 2.5, x.at(-1) + 2.5],
    data: [pick(shown, "vehicles")], series: [{ label: "Vehicles", colour: "ac", bars: 0, share: 0.8 }],
    labels: (ticks) => ticks.map((tick) => `${format.number(tick)} %`), axis: axis.counts, value: (v) => format.number(v),
  };
}

const distributionFigure = () => createFigure({
  title: "Efficiency of the vehicles, 24 hours", note: "Vehicles in each twentieth; DC delivered / AC consumed", file: "fleet-efficiency",
  columns: [
    { name: "Efficiency", csv: "ratioFrom", kind: "text", value: (row) => row.ratioFrom, show: bandName },
    { name: "Vehicles", csv: "vehicles", value: (row) => row.vehicles, show: (row) => format.number(row.vehicles) },
  ],
  chart: distributionChart,
});

/** The hours of an overview as buckets of its 24 hours. */
function hoursOf(overview) {
  const [start, end] = [overview.periodStart, overview.periodEnd].map((text) => Date.parse(text));
  const range = { ...rangeBetween(start, end), buckets: HOURLY };
  const isOpen = (row) => range.buckets.end(Date.parse(row.bucket)) > end;
  return { range, rows: withHours(overview.hours.map((row) => ({ ...row, isOpen: isOpen(row) })), range) };
}

const reporting = (all, silent) => (silent ? `${format.number(silent)} silent` : all ? "none silent" : "none yet");

/** The note of the open alerts. */
function faultsNote({ alertsOpen, alertsCritical }) {
  if (!alertsOpen) return "no open alert";
  return alertsCritical ? `open alerts, ${format.number(alertsCritical)} critical` : "open alerts, none critical";
}

function showPulse(tiles, pulse) {
  tiles.faults.update(format.number(pulse.alertsOpen), "", faultsNote(pulse), pulse.alertsOpen > 0);
  tiles.readings.update(format.number(pulse.readingsPerMinute), "", pulse.lastReceivedAt ? `newest ${format.secondsWhen(new Date(pulse.lastReceivedAt))}` : "none yet");
  tiles.vehicles.update(format.number(pulse.vehicles - pulse.vehiclesSilent), `of ${format.number(pulse.vehicles)}`,
    `${reporting(pulse.vehicles, pulse.vehiclesSilent)}, ${format.number(pulse.vehiclesCharging)} charging`, pulse.vehiclesSilent > 0);
  tiles.meters.update(format.number(pulse.meters - pulse.metersSilent), `of ${format.number(pulse.meters)}`,
    reporting(pulse.meters, pulse.metersSilent), pulse.metersSilent > 0);
}

function showTotals(tiles, overview) {
  for (const [tile, kwh] of [[tiles.ac, overview.kwhConsumedAcToday], [tiles.dc, overview.kwhDeliveredDcToday]]) {
    const { value, unit } = format.energy(kwh);
    tile.update(value, unit, countedToday(overview, kwh));
  }
  const low = overview.vehiclesLow;
  tiles.low.update(format.number(low), low === 1 ? "vehicle" : "vehicles", low ? "in 24 h: a fault or leakage" : "none in 24 h", low > 0);
  tiles.efficiency.update(format.percent(overview.efficiencyRatio), badge(overview.efficiencyStatus), statusCounts(overview) || "no vehicle counted");
}

export async function fleetPage(signal) {
  let overview = await get("/v1/fleet", {}, signal);
  let askedAt = Date.now();
  let receivedAt = null;
  const tiles = {
    faults: createTile("Faults", alertsAddress()),
    low: createTile("Low efficiency", listAddress("vehicles", { status: "low" })),
    vehicles: createTile("Vehicles reporting", listAddress("vehicles")),
    meters: createTile("Meters reporting", listAddress("meters")),
    efficiency: createTile("Efficiency, 24 h"),
    ac: createTile("AC consumed today"),
    dc: createTile("DC delivered today"),
    readings: createTile("Readings a minute"),
  };
  const [energy, distribution] = [energyFigure(), distributionFigure()];
  const [worst, silent, rejected] = [worstTable(), silentTable(), rejectedTable()];
  const counted = h("p", { class: "note" });

  function show() {
    counted.textContent = countedLine(overview);
    showTotals(tiles, overview);
    const { range, rows } = hoursOf(overview);
    energy.update(rows, range, withoutEnergy(overview));
    distribution.update(overview.distribution, null, withoutEfficiency(overview));
    worst.update(overview.worst.map((row) => ({ ...row, todayStart: overview.todayStart })), withoutEfficiency(overview));
    silent.update(overview.silentDevices);
    rejected.update(overview.rejected);
  }

  show();
  return {
    title: "Fleet",
    element: h("div", { class: "page" }, h("h1", null, "Fleet"), counted,
      h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
      worst.element, h("div", { class: "two" }, energy.element, distribution.element),
      rejected.element, silent.element),
    async pulse(pulse) {
      showPulse(tiles, pulse);
      if (pulse.lastReceivedAt !== receivedAt && Date.now() - askedAt >= OVERVIEW_EVERY_MS) {
        receivedAt = pulse.lastReceivedAt;
        askedAt = Date.now();
        overview = await get("/v1/fleet", {}, signal);
        show();
      }
    },
    leave: () => [energy, distribution].forEach((figure) => figure.destroy()),
  };
}
