// What the pages of a vehicle and of a meter have in common: columns of a table, buckets on an axis, and the page itself.

import { get, pathOf } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { RANGES, rangeLinks, rangeOf } from "./ranges.js";

const BUCKETS_EVERY_MS = 30_000;

export const when = { name: "From", csv: "bucket", kind: "text", value: (r) => r.bucket, show: (r) => format.dateTime(new Date(r.bucket)) };
export const column = (name, csv, decimals) => ({ name, csv, value: (r) => r[csv], show: (r) => format.number(r[csv], decimals) });

export const pick = (rows, name) => rows.map((row) => row[name]);

/** The buckets of a range: where each is drawn (its middle), the room beside it, and its length in words. */
export function bucketsOf({ bucketS }) {
  return {
    pad: bucketS / 2,
    middle: (rows) => rows.map((row) => Date.parse(row.bucket) / 1000 + bucketS / 2),
    length: bucketS === 900 ? "15 minutes" : bucketS === 3600 ? "an hour" : "a day",
  };
}

export const energyScale = { unit: (v) => format.number(v, v > 0 && v < 5 ? 1 : 0), value: (v) => `${format.number(v, 2)} kWh` };

/** A line within the band of its lowest and highest, in a unit of one decimal. */
export const bandOf = (unit, colour) => ({
  series: [{ label: "Highest", colour: "edge", width: 1 }, { label: "Lowest", colour: "edge", width: 1 }, { label: "Mean", colour }],
  bands: [{ series: [1, 2], colour: "band" }], unit: (v) => `${format.number(v)} ${unit}`, value: (v) => `${format.number(v, 1)} ${unit}`,
  range: (_u, low, high) => [Math.floor(low - 2), Math.ceil(high + 2)],
});

/**
 * A page of a device of this kind ("vehicle" or "meter"): its status follows the pulse, its buckets (of `source`) now and then.
 * `make(range)` gives its tiles, its figures, and what shows a status and the buckets; `below` what comes after them.
 */
export async function devicePage({ kind, source, signal, id, query, make, below = async () => null }) {
  const chosen = rangeOf(query);
  const range = RANGES[chosen];
  const askStatus = () => get(pathOf(`/v1/status/${kind}`, id), {}, signal);
  const askBuckets = async () => (await get(pathOf(source, id), { resolution: range.resolution, hours: range.hours }, signal)).items;
  const status = await askStatus();
  const buckets = await askBuckets();
  const last = await below();
  let askedAt = Date.now();
  let receivedAt = null;
  const { tiles, figures, showStatus, showBuckets } = make(range);

  function show(rows) {
    showBuckets(rows);
    figures.forEach((figure) => figure.update(rows));
  }

  showStatus(status);
  show(buckets);
  const name = kind === "vehicle" ? "Vehicle" : "Meter";
  return {
    title: `${name} ${id}`,
    element: h("div", { class: "page" }, h("h1", null, `${name} `, h("span", { class: "id" }, id)), rangeLinks(`#/${kind}/${encodeURIComponent(id)}`, chosen),
      h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
      h("div", { class: "two" }, figures.map((figure) => figure.element)), last),
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt) return;
      receivedAt = pulse.lastReceivedAt;
      showStatus(await askStatus());
      if (Date.now() - askedAt < BUCKETS_EVERY_MS) return;
      askedAt = Date.now();
      show(await askBuckets());
    },
    leave: () => figures.forEach((figure) => figure.destroy()),
  };
}
