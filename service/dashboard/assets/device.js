// Shared parts of the vehicle and the meter page: table columns, buckets on an axis, and the page itself.

import { get, pathOf } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { RANGES, rangeLinks, rangeOf } from "./ranges.js";
import { createTable } from "./table.js";

const BUCKETS_EVERY_MS = 30_000;

/** The columns that name a bucket: its start, and whether it is not over. */
export const whenColumns = (name) => [
  {
    name, csv: "bucket", kind: "text", value: (r) => r.bucket,
    show: (r) => [format.dateTime(new Date(r.bucket)), r.isOpen ? h("span", { class: "badge open" }, "so far") : ""],
  },
  { csv: "isOpen", value: (r) => r.isOpen },
];
export const column = (name, csv, decimals) => ({ name, csv, value: (r) => r[csv], show: (r) => format.number(r[csv], decimals) });

export const pick = (rows, name) => rows.map((row) => row[name]);
export const has = (rows, ...names) => rows.some((row) => names.some((name) => row[name] !== null));

/** Drawing of the buckets of a range: each at its middle, marked where it is not over. `length` is theirs in words. */
export function bucketsOf({ bucketS }) {
  return {
    place: (rows) => ({ x: rows.map((row) => Date.parse(row.bucket) / 1000 + bucketS / 2), open: pick(rows, "isOpen"), pad: bucketS / 2 }),
    length: bucketS === 900 ? "15 minutes" : bucketS === 3600 ? "an hour" : "a day",
  };
}

export const energyScale = { unit: (v) => format.number(v, v > 0 && v < 5 ? 1 : 0), value: (v) => `${format.number(v, 2)} kWh` };

/** A chart of a mean within the band from lowest to highest, with one decimal. */
export const bandOf = (unit, colour) => ({
  series: [{ label: "Highest", colour: "edge", width: 1, isWhole: true }, { label: "Lowest", colour: "edge", width: 1, isWhole: true }, { label: "Mean", colour }],
  bands: [{ series: [1, 2], colour: "band" }], unit: (v) => `${format.number(v)} ${unit}`, value: (v) => `${format.number(v, 1)} ${unit}`,
  range: (_u, low, high) => [Math.floor(low - 2), Math.ceil(high + 2)],
});

/** The exchanges of its register, or null for a device without any. */
function exchangesCard(exchanges) {
  const table = createTable("The exchanges of its register", [
    { name: "Exchanged", kind: "text", value: (r) => r.at, show: (r) => format.dateTime(new Date(r.at)) },
    column("Old register ended, kWh", "lastRegister", 3),
    column("New register began, kWh", "firstRegister", 3),
    { name: "Declared", kind: "text", value: (r) => r.declaredAt, show: (r) => format.dateTime(new Date(r.declaredAt)) },
    { name: "By", kind: "text", value: (r) => r.declaredBy ?? "SQL" },
  ]);
  table.update(exchanges);
  return exchanges.length ? h("section", { class: "card" }, h("h2", null, "Exchanges of its register"), table.element) : null;
}

/**
 * A page of a device of this kind ("vehicle" or "meter"): its status follows the pulse, its buckets now and then.
 * `ask(range)` gives the buckets, and the total of the range, if the kind has one. `make(range)` gives tiles, figures, and
 * functions that show a status and the answer of `ask`; `below` gives the last element.
 */
export async function devicePage({ kind, signal, id, query, ask, make, below = async () => null }) {
  const chosen = rangeOf(query);
  const range = RANGES[chosen];
  const askStatus = () => get(pathOf(`/v1/status/${kind}`, id), {}, signal);
  const status = await askStatus();
  const answer = await ask(range);
  const last = await below();
  const { items: exchanges } = await get(`${pathOf(`/v1/devices/${kind}`, id)}/exchange`, {}, signal);
  let askedAt = Date.now();
  let receivedAt = null;
  const { tiles, figures, showStatus, showBuckets } = make(range);

  function show({ buckets, total }) {
    showBuckets(buckets, total);
    figures.forEach((figure) => figure.update(buckets));
  }

  showStatus(status);
  show(answer);
  const name = kind === "vehicle" ? "Vehicle" : "Meter";
  return {
    title: `${name} ${id}`,
    element: h("div", { class: "page" }, h("h1", null, `${name} `, h("span", { class: "id" }, id)), rangeLinks(`#/${kind}/${encodeURIComponent(id)}`, chosen),
      h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
      h("div", { class: "two" }, figures.map((figure) => figure.element)), last, exchangesCard(exchanges)),
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt) return;
      receivedAt = pulse.lastReceivedAt;
      showStatus(await askStatus());
      if (Date.now() - askedAt < BUCKETS_EVERY_MS) return;
      askedAt = Date.now();
      show(await ask(range));
    },
    leave: () => figures.forEach((figure) => figure.destroy()),
  };
}
