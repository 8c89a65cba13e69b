// The fleet page: tiles that follow the pulse, and an overview that is asked again every now and then.

import { get } from "./api.js";
import { countedLine, countedToday, statusCounts, withoutEfficiency, withoutEnergy } from "./counted.js";
import { column, energyScale, pick, whenColumns } from "./device.js";
import { h } from "./dom.js";
import { createFigure } from "./figure.js";
import * as format from "./format.js";
import { rejectedTable, silentTable, worstTable } from "./fleet_tables.js";
import { badge } from "./status.js";
import { createTile } from "./tile.js";

/** An overview costs the database more than a pulse. */
const OVERVIEW_EVERY_MS = 20_000;
const HOUR_MS = 3_600_000;

const hourColumns = [...whenColumns("Hour"), column("AC, kWh", "kwhConsumedAc", 2), column("DC, kWh", "kwhDeliveredDc", 2)];

function bandName(band) {
  return band.ratioTo === null ? "100 % and above" : `${format.number(band.ratioFrom * 100)} to ${format.number(band.ratioTo * 100)} %`;
}

const bandColumns = [
  { name: "Efficiency", csv: "ratioFrom", kind: "text", value: (row) => row.ratioFrom, show: bandName },
  { name: "Vehicles", csv: "vehicles", value: (row) => row.vehicles, show: (row) => format.number(row.vehicles) },
];

function energyChart(rows) {
  if (!rows.length) return null;
  return {
    x: rows.map((row) => Date.parse(row.bucket) / 1000 + 1800), open: pick(rows, "isOpen"),
    data: [pick(rows, "kwhConsumedAc"), pick(rows, "kwhDeliveredDc")],
    series: [{ label: "AC consumed", colour: "ac", bars: -1 }, { label: "DC delivered", colour: "dc", bars: 1 }],
    ...energyScale, pad: 1800,
  };
}

function distributionChart(rows) {
  if (!rows.some((row) => row.vehicles)) return null;
  const first = Math.min(10, rows.findIndex((row) => row.vehicles));
  const shown = rows.slice(first);
  return {
    x: shown.map((row) => row.ratioFrom * 100 + 2.5),
    data: [pick(shown, "vehicles")],
    series: [{ label: "Vehicles", colour: "ac", bars: 0, share: 0.8 }],
    labels: (_u, splits) => splits.map((v) => `${format.number(v)} %`),
    xLabel: "Efficiency",
    unit: (v) => (Number.isInteger(v) ? format.number(v) : ""), value: (v) => `${format.number(v)} vehicles`, pad: 2.5,
  };
}

export async function fleetPage(signal) {
  let overview = await get("/v1/fleet", {}, signal);
  let askedAt = Date.now();
  let receivedAt = null;
  const tiles = {
    readings: createTile("Readings a minute"),
    vehicles: createTile("Vehicles reporting"),
    meters: createTile("Meters reporting"),
    ac: createTile("AC consumed today"),
    dc: createTile("DC delivered today"),
    efficiency: createTile("Efficiency, 24 h"),
  };
  const figures = [
    createFigure({ title: "Energy of the fleet, 24 hours", note: "kWh in an hour, of all vehicles and the meters that feed them", file: "fleet-energy", columns: hourColumns, chart: energyChart }),
    createFigure({
      title: "Efficiency of the vehicles, 24 hours", note: "Vehicles in each twentieth; DC delivered / AC consumed", file: "fleet-efficiency",
      columns: bandColumns, chart: distributionChart,
    }),
  ];
  const worst = worstTable();
  const silent = silentTable();
  const rejected = rejectedTable();
  const counted = h("p", { class: "note" });

  function show() {
    counted.textContent = countedLine(overview);
    for (const [tile, kwh] of [[tiles.ac, overview.kwhConsumedAcToday], [tiles.dc, overview.kwhDeliveredDcToday]]) {
      const { value, unit } = format.energy(kwh);
      tile.update(value, unit, countedToday(overview, kwh));
    }
    tiles.efficiency.update(format.percent(overview.efficiencyRatio), badge(overview.efficiencyStatus), statusCounts(overview) || "no vehicle counted");
    const end = Date.parse(overview.periodEnd);
    const hours = overview.hours.map((row) => ({ ...row, isOpen: Date.parse(row.bucket) + HOUR_MS > end }));
    figures[0].update(hours, withoutEnergy(overview));
    figures[1].update(overview.distribution, withoutEfficiency(overview));
    worst.update(overview.worst.map((row) => ({ ...row, todayStart: overview.todayStart })), withoutEfficiency(overview));
    silent.update(overview.silentDevices);
    rejected.update(overview.rejected);
  }

  const devices = (all, out, more) => (out ? `${format.number(out)} silent` : all ? "none silent" : "none yet") + more;
  show();
  return {
    title: "Fleet",
    element: h("div", { class: "page" }, h("h1", null, "Fleet"), counted,
      h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
      h("div", { class: "two" }, figures.map((figure) => figure.element)),
      worst.element, h("div", { class: "two" }, silent.element, rejected.element)),
    async pulse(pulse) {
      tiles.readings.update(format.number(pulse.readingsPerMinute), "", pulse.lastReceivedAt ? `newest ${format.seconds(new Date(pulse.lastReceivedAt))}` : "none yet");
      tiles.vehicles.update(format.number(pulse.vehicles - pulse.vehiclesSilent), `of ${format.number(pulse.vehicles)}`,
        devices(pulse.vehicles, pulse.vehiclesSilent, `, ${format.number(pulse.vehiclesCharging)} charging`), pulse.vehiclesSilent > 0);
      tiles.meters.update(format.number(pulse.meters - pulse.metersSilent), `of ${format.number(pulse.meters)}`,
        devices(pulse.meters, pulse.metersSilent, ""), pulse.metersSilent > 0);
      if (pulse.lastReceivedAt !== receivedAt && Date.now() - askedAt >= OVERVIEW_EVERY_MS) {
        receivedAt = pulse.lastReceivedAt;
        askedAt = Date.now();
        overview = await get("/v1/fleet", {}, signal);
        show();
      }
    },
    leave: () => figures.forEach((figure) => figure.destroy()),
  };
}
