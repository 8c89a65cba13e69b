// The lists of vehicles, of meters, and of both: found by part of an id, by status, in an order, a page at a time. All of it
// stands in the address.

import { get } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { deviceColumns, lowColumns, ordersOf } from "./list_columns.js";
import { pageLinks } from "./pages.js";
import { createTable, csvLink } from "./table.js";

const PAGE_SIZE = 100;
const AGAIN_AFTER_MS = 20_000;
const LISTS = {
  vehicles: { title: "Vehicles", kind: "vehicle", noun: "vehicles" },
  meters: { title: "Meters", kind: "meter", noun: "meters" },
  devices: { title: "Vehicles and meters", kind: null, noun: "devices" },
};
const STATUSES = { "": "All", reporting: "Reporting", silent: "Silent", retired: "Retired" };
const LOW = "low";

export const isList = (name) => Object.hasOwn(LISTS, name);

/** The address of a list; a parameter without a value is left out. */
export function listAddress(name, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  return `#/${name}${query ? `?${query}` : ""}`;
}

/** What a list asks the service, and how it shows the answer. Only the service knows which efficiency is low. */
function sourceOf(name, { search, status, sort, cursor }) {
  const page = { limit: PAGE_SIZE, ...(cursor && { cursor }) };
  if (status === LOW) {
    return {
      columns: lowColumns, path: "/v1/analytics/efficiency", parameters: page,
      note: "with a low efficiency in the last 24 hours, the lowest first", blank: "No vehicle has a low efficiency.",
    };
  }
  const { kind } = LISTS[name];
  const order = sort || "deviceId";
  return {
    columns: deviceColumns(kind, order, (other) => listAddress(name, { search, status, sort: other })),
    path: "/v1/devices", note: "with the newest reading of each",
    parameters: { sort: order, ...page, ...(kind && { kind }), ...(search && { search }), ...(status && { status }) },
    blank: search || status ? "No device matches this search and status." : "No device has sent a reading yet.",
  };
}

function statusLinks(name, { search, status = "", sort }) {
  const statuses = name === "vehicles" ? { ...STATUSES, [LOW]: "Low efficiency" } : STATUSES;
  return h("nav", { class: "ranges", "aria-label": "Status" }, Object.entries(statuses).map(([key, text]) => h("a", {
    href: listAddress(name, key === LOW ? { status: key } : { search, status: key, sort }), "aria-current": key === status ? "true" : null,
  }, text)));
}

function orderChoice(name, { search, status, sort = "deviceId" }) {
  if (status === LOW) return null;
  const field = sort.replace("-", "");
  const select = h("select", { "aria-label": "Order" }, Object.entries(ordersOf(LISTS[name].kind)).map(
    ([key, text]) => h("option", { value: key, selected: key.replace("-", "") === field }, text)));
  select.addEventListener("change", () => { location.hash = listAddress(name, { search, status, sort: select.value }); });
  return select;
}

function searchForm(name, { search = "", status, sort }) {
  const input = h("input", { id: "part", type: "search", placeholder: "Part of an id", value: search, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "64" });
  const form = h("form", { role: "search", "aria-label": "In this list" },
    h("label", { class: "visually-hidden", for: "part" }, "Part of an id"), input, h("button", null, "Search"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = listAddress(name, { search: input.value.trim(), status: status === LOW ? "" : status, sort });
  });
  return form;
}

export async function listPage(signal, name, query) {
  const chosen = Object.fromEntries(query);
  const source = sourceOf(name, chosen);
  const { title, noun } = LISTS[name];
  const ask = () => get(source.path, source.parameters, signal);
  const table = createTable(title, source.columns);
  const pages = h("div");
  const blank = h("p", { class: "blank" }, source.blank);
  const count = h("p", { class: "note" });
  let rows = [];
  let askedAt = 0;
  let receivedAt = null;

  function show({ items, next }) {
    rows = items;
    askedAt = Date.now();
    table.update(rows);
    table.element.hidden = rows.length === 0;
    blank.hidden = rows.length > 0;
    count.textContent = `${format.number(rows.length)} ${noun} ${source.note}${next ? "; more on the next page" : ""}`;
    pages.replaceChildren(pageLinks((cursor) => listAddress(name, { ...chosen, cursor }), chosen.cursor, next));
  }

  show(await ask());
  return {
    title,
    element: h("div", { class: "page list" }, h("h1", null, title),
      h("div", { class: "filters" }, searchForm(name, chosen), statusLinks(name, chosen), orderChoice(name, chosen)),
      h("section", { class: "card" },
        h("div", { class: "heading" }, count, csvLink(name, source.columns, () => rows)), blank, table.element, pages)),
    async pulse(pulse) {
      if (pulse.lastReceivedAt === receivedAt || Date.now() - askedAt < AGAIN_AFTER_MS) return;
      receivedAt = pulse.lastReceivedAt;
      show(await ask());
    },
    leave: () => {},
  };
}
