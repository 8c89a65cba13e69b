// The sessions of the fleet: by time, efficiency and vehicle, a page at a time, and its months. All of it stands in the address.

import { get } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { listAddress } from "./list.js";
import { createMonths } from "./months.js";
import { pageLinks } from "./pages.js";
import { ROLLING } from "./range.js";
import { sessionColumns, vehicleColumn } from "./sessions.js";
import { createCard } from "./table_card.js";

const NAME = "sessions";
const PAGE_SIZE = 100;
const AGAIN_AFTER_MS = 20_000;
/** A month of a large fleet is many quarter hours: this one and the last. */
const MONTHS = 2;
const RANGES = ["24h", "7d", "30d"];
const KINDS = {
  "": { text: "All" }, open: { text: "Charging now", filter: { isOpen: true } },
  ...Object.fromEntries(["normal", "low", "impossible", "unknown"].map((status) => [status, { text: `${status[0].toUpperCase()}${status.slice(1)}`, filter: { status } }])),
};

const addressOf = (chosen, changed) => listAddress(NAME, { ...chosen, cursor: "", ...changed });

/** Links that set one parameter of the address. */
function choice(label, options, chosen, parameter, first) {
  const current = Object.hasOwn(options, chosen[parameter] ?? "") ? chosen[parameter] ?? "" : first;
  return h("nav", { class: "ranges", "aria-label": label }, Object.entries(options).map(([key, text]) => h("a", {
    href: addressOf(chosen, { [parameter]: key === first ? "" : key }), "aria-current": key === current ? "true" : null,
  }, text)));
}

function vehicleForm(chosen) {
  const input = h("input", { id: "vehicle", type: "search", placeholder: "Vehicle id", value: chosen.vehicle ?? "", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "64" });
  const form = h("form", { role: "search", "aria-label": "Sessions of a vehicle" },
    h("label", { class: "visually-hidden", for: "vehicle" }, "Vehicle id"), input, h("button", null, "Filter"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = addressOf(chosen, { vehicle: input.value.trim() });
  });
  return form;
}

/** What the address asks the service. */
function parametersOf({ range, kind, vehicle, cursor }) {
  const { hours } = ROLLING[RANGES.includes(range) ? range : RANGES[0]];
  return {
    withCost: true, limit: PAGE_SIZE, ...(cursor ? { cursor } : { hours }), ...(Object.hasOwn(KINDS, kind ?? "") && KINDS[kind ?? ""].filter),
    ...(vehicle && { vehicleId: vehicle }),
  };
}

export async function sessionListPage(signal, query) {
  const chosen = Object.fromEntries(query);
  const list = h("div");
  const months = createMonths("/v1/analytics/cost", "fleet-months", MONTHS, signal);
  let askedAt = 0;
  let receivedAt = null;

  async function load() {
    const { items, next } = await get("/v1/sessions", parametersOf(chosen), signal);
    askedAt = Date.now();
    const note = `${format.number(items.length)} sessions in order of their start${next ? "; more on the next page" : ""}. The start leads to the charts of the session`;
    const card = createCard("Charging sessions", NAME, sessionColumns(items, { first: [vehicleColumn] }), note, "No charging session matches.");
    card.update(items);
    list.replaceChildren(card.element, pageLinks((cursor) => addressOf(chosen, { cursor }), chosen.cursor, next));
  }

  await load();
  months.load();  // it may take longer than the list
  return {
    title: "Charging sessions",
    element: h("div", { class: "page list" }, h("h1", null, "Charging sessions"),
      h("div", { class: "filters" }, vehicleForm(chosen),
        choice("Length of time", Object.fromEntries(RANGES.map((key) => [key, ROLLING[key].name])), chosen, "range", RANGES[0]),
        choice("Kind of session", Object.fromEntries(Object.entries(KINDS).map(([key, { text }]) => [key, text])), chosen, "kind", "")),
      list, months.element),
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt || Date.now() - askedAt < AGAIN_AFTER_MS) return;
      receivedAt = pulse.lastReceivedAt;
      await load();
    },
    leave: () => {},
  };
}
