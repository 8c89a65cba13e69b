// Energy, cost and CO2 month by month, and this month beside the last.

import { get } from "./api.js";
import { column } from "./columns.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { createCard } from "./table_card.js";
import { createTile } from "./tile.js";
import { shift, startOf } from "./zone.js";

const total = (rows, name) => {
  const known = rows.map((row) => row[name]).filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value) : null;
};

/** The months of an answer, the newest first; each has its amounts by currency, which are never added up. */
function monthsOf(items) {
  const starts = [...new Set(items.map((item) => item.bucket))].reverse();
  return starts.map((bucket) => {
    const rows = items.filter((item) => item.bucket === bucket);
    return {
      bucket, isOpen: rows[0].isOpen, kwhConsumedAc: total(rows, "kwhConsumedAc"), co2Kg: total(rows, "co2Kg"),
      costs: rows.filter((row) => row.cost !== null).map(({ currency, cost }) => ({ currency, cost })),
      kwhWithoutPrice: total(rows.filter((row) => row.currency === null), "kwhConsumedAc"),
    };
  });
}

const costText = ({ costs }) => costs.map(({ cost, currency }) => format.money(cost, currency)).join(", ") || "–";

function monthColumns(months) {
  const hasCost = months.some((month) => month.costs.length);
  return [
    {
      name: "Month", csv: "month", kind: "text", value: (r) => r.bucket,
      show: (r) => [format.month(new Date(r.bucket)), r.isOpen ? h("span", { class: "badge open" }, "so far") : ""],
    },
    column("AC, kWh", "kwhConsumedAc", 1),
    ...(hasCost ? [{ name: "Cost", csv: "cost", value: (r) => r.costs.map(({ cost, currency }) => `${cost} ${currency}`).join(" "), show: costText }] : []),
    ...(hasCost && months.some((month) => month.kwhWithoutPrice) ? [column("Without a price, kWh", "kwhWithoutPrice", 1)] : []),
    ...(months.some((month) => month.co2Kg !== null) ? [column("CO₂, kg", "co2Kg", 1)] : []),
  ];
}

/** This month's figure, with that of the last month as the note. */
function tileOf(name, months, [thisMonth, lastMonth], textOf, has) {
  if (!months.some(has)) return null;
  const tile = createTile(`${name}, this month`);
  const { value, unit } = thisMonth ? textOf(thisMonth) : { value: "–", unit: "" };
  const last = lastMonth && textOf(lastMonth);
  tile.update(value, unit, last ? `${format.month(new Date(lastMonth.bucket))}: ${last.value} ${last.unit}` : "none last month");
  return tile.element;
}

/**
 * The months up to now, so many of them, of the answers of `path` (/v1/analytics/cost...). load() asks for them; where they
 * cannot be had, the card says so.
 */
export function createMonths(path, file, count, signal) {
  const element = h("div", { class: "page" });

  function show(months, thisStart) {
    const at = (start) => months.find((month) => Date.parse(month.bucket) === start);
    const pair = [at(thisStart), at(shift("month", thisStart, -1))];
    const energy = (month) => format.energy(month.kwhConsumedAc);
    const tiles = [
      tileOf("AC", months, pair, energy, () => true),
      tileOf("Cost", months, pair, (month) => ({ value: costText(month), unit: "" }), (month) => month.costs.length),
      tileOf("CO₂", months, pair, (month) => ({ value: format.number(month.co2Kg, 1), unit: "kg" }), (month) => month.co2Kg !== null),
    ];
    const card = createCard("Month by month", file, monthColumns(months), "AC energy of each month of the fleet's calendar", "No energy was consumed in these months.");
    card.update(months);
    element.replaceChildren(h("div", { class: "tiles" }, tiles.filter(Boolean)), card.element);
  }

  return {
    element,
    async load() {
      const thisStart = startOf("month", Date.now());
      const window = { start: new Date(shift("month", thisStart, 1 - count)).toISOString(), end: new Date().toISOString() };
      try {
        const { items } = await get(path, { resolution: "monthly", ...window }, signal);
        show(monthsOf(items), thisStart);
      } catch (error) {
        if (error.name === "AbortError") return;
        element.replaceChildren(h("p", { class: "note" }, "The months cannot be shown now: the service did not answer in time."));
      }
    },
  };
}
