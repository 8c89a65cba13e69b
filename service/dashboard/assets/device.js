// The page of a device: its range, its tiles, its figures, and what is declared about it.

import { createAlertTable } from "./alert_table.js";
import { alertsAddress } from "./alerts.js";
import { get, pathOf } from "./api.js";
import { column, devicePath, textColumn, timeColumn } from "./columns.js";
import { h } from "./dom.js";
import { rangeOf, zoomed } from "./range.js";
import { createRangeBar } from "./range_bar.js";
import { createTable } from "./table.js";

const BUCKETS_EVERY_MS = 30_000;
const NAMES = { vehicle: "Vehicle", meter: "Meter" };

/** A card with a table of these rows, or with a text where there are none. */
export function tableCard(title, columns, rows, nothing) {
  const table = createTable(title, columns);
  table.update(rows);
  return h("section", { class: "card" }, h("h2", null, title), rows.length ? table.element : h("p", { class: "blank" }, nothing));
}

const exchangesCard = (exchanges) => exchanges.length ? tableCard("Exchanges of its register", [
  timeColumn("Exchanged", "at"),
  column("Old register ended, kWh", "lastRegister", 3),
  column("New register began, kWh", "firstRegister", 3),
  timeColumn("Declared", "declaredAt"),
  { ...textColumn("By", "declaredBy"), show: (r) => r.declaredBy ?? "SQL" },
], exchanges) : null;

const retiredNote = () => h("p", { class: "note retired" }, h("span", { class: "badge" }, "retired"),
  " It is out of use until it reports again, and counts as neither silent nor reporting.");

const MOST_ALERTS = 1000;
const DISPROVED = "disproved by later data";

/** The alerts of a device in a range, as a card. */
function createAlertsCard(kind, id) {
  const table = createAlertTable("Alerts in this time", `${id}-alerts`, false);
  const blank = h("p", { class: "blank" }, "No alert in this time.");
  const all = h("a", { href: alertsAddress({ state: "all", kind, deviceId: id }) }, "All alerts of the device");
  return {
    element: h("section", { class: "card" }, h("div", { class: "heading" }, h("h2", null, "Alerts in this time"), table.csv),
      h("p", { class: "note" }, "The charts are shaded from opening to closing. ", all), blank, table.element),
    update(items, mayAcknowledge) {
      if (table.isInUse()) return;
      table.update({ items, mayAcknowledge });
      blank.hidden = items.length > 0;
    },
  };
}

/** The end of an alert; an open one has lasted until now. */
const endOf = (alert) => (alert.closedAt ? Date.parse(alert.closedAt) : Date.now());

const within = (alerts, { start, end }) => alerts.filter((alert) => Date.parse(alert.openedAt) < end && endOf(alert) > start);

/** The stretches of alerts in seconds. What was disproved never was. */
const shadesOf = (alerts) => alerts.filter((alert) => alert.closeReason !== DISPROVED).map((alert) => [Date.parse(alert.openedAt) / 1000, endOf(alert) / 1000]);

/** Let the links to other devices keep the range. */
function keepRange(element, { query }) {
  for (const link of element.querySelectorAll("a.device")) link.setAttribute("href", `${link.getAttribute("href").split("?")[0]}?${query}`);
}

/**
 * A page of a device of this kind ("vehicle" or "meter"): its status follows the pulse, its buckets now and then.
 * `ask(range)` gives the buckets, and the total of the range, if the kind has one; showStatus and showBuckets fill the tiles;
 * `cards` follow the range below the figures; `more()` gives the last elements.
 */
export async function devicePage({ kind, signal, id, query, tiles, figures, cards = [], showStatus, showBuckets, ask, more }) {
  const base = devicePath(kind, id);
  const askStatus = () => get(pathOf(`/v1/status/${kind}`, id), {}, signal);
  let asked = query;
  let shown = null;
  let askedAt = 0;
  let receivedAt = null;
  const alerts = createAlertsCard(kind, id);
  const bar = createRangeBar(base, (address) => { location.hash = address; });

  /** Ask for the buckets of the range and show them, unless another one was asked for meanwhile. */
  async function load() {
    const parameters = asked;
    askedAt = Date.now();
    const range = rangeOf(parameters);
    const [{ buckets, total }, found] = await Promise.all([
      ask(range), get("/v1/alerts", { state: "all", kind, deviceId: id, limit: MOST_ALERTS }, signal),
    ]);
    if (parameters !== asked) return;
    const present = within(found.items, range);
    range.shades = shadesOf(present);
    range.zoom = (from, to) => {
      const chosen = zoomed(range, from * 1000, to * 1000);
      if (chosen) location.hash = `${base}?${chosen.query}`;
    };
    shown = range;
    bar.update(range);
    showBuckets(buckets, total);
    alerts.update(present, found.mayAcknowledge);
    await Promise.all([...figures.map((figure) => figure.update(buckets, range)), ...cards.map((card) => card.update(range))]);
    keepRange(element, range);
  }

  const status = await askStatus();
  const [profile, { items: exchanges }, last] = await Promise.all([
    get(pathOf(`/v1/devices/${kind}`, id), {}, signal), get(`${pathOf(`/v1/devices/${kind}`, id)}/exchange`, {}, signal), more(),
  ]);
  const element = h("div", { class: "page" }, h("h1", null, `${NAMES[kind]} `, h("span", { class: "id" }, id)),
    profile.retired ? retiredNote() : null, bar.element,
    h("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)),
    h("div", { class: "two" }, figures.map((figure) => figure.element)), alerts.element, cards.map((card) => card.element), last,
    exchangesCard(exchanges));
  showStatus(status);
  await load();
  return {
    title: `${NAMES[kind]} ${id}`,
    element,
    /** Show the range of these parameters of the address: its name and its links at once, its figures when they come. */
    async show(parameters) {
      asked = parameters;
      shown = rangeOf(parameters);
      bar.update(shown);
      keepRange(element, shown);
      element.setAttribute("aria-busy", "true");
      try {
        await load();
      } finally {
        if (asked === parameters) element.removeAttribute("aria-busy");
      }
    },
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt) return;
      receivedAt = pulse.lastReceivedAt;
      showStatus(await askStatus());
      keepRange(element, shown);
      if (Date.now() - askedAt >= BUCKETS_EVERY_MS) await load();
    },
    leave: () => figures.forEach((figure) => figure.destroy()),
  };
}
