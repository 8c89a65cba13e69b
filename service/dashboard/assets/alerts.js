// The list of alerts: open, closed or all, of a fault, a severity, a kind of device or one device, a page at a time. All of it
// stands in the address.

import { createAlertTable, faultName } from "./alert_table.js";
import { get } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { listAddress } from "./list.js";
import { pageLinks } from "./pages.js";

const PAGE_SIZE = 100;
const AGAIN_AFTER_MS = 20_000;
const PARAMETERS = ["state", "severity", "ruleKind", "kind", "deviceId", "cursor"];
const STATES = { open: "Open", closed: "Closed", all: "All" };
const CHOICES = {
  severity: { label: "Severity", all: "Every severity", values: ["critical", "warning", "info"] },
  ruleKind: {
    label: "Fault", all: "Every fault",
    values: [
      "efficiency_low", "efficiency_impossible", "charger_fading", "device_silent", "battery_hot", "voltage_outside",
      "data_incomplete", "readings_rejected", "standby_high",
    ],
  },
  kind: { label: "Kind of device", all: "Vehicles and meters", values: ["vehicle", "meter"] },
};

/** The address of the list of these alerts. */
export const alertsAddress = (parameters = {}) => listAddress("alerts", parameters);

function stateLinks(chosen) {
  return h("nav", { class: "ranges", "aria-label": "State" }, Object.entries(STATES).map(([state, text]) => h("a", {
    href: alertsAddress({ ...chosen, state, cursor: "" }), "aria-current": state === (chosen.state ?? "open") ? "true" : null,
  }, text)));
}

function choice(chosen, name) {
  const { label, all, values } = CHOICES[name];
  const select = h("select", { "aria-label": label },
    h("option", { value: "" }, all), values.map((value) => h("option", { value, selected: value === chosen[name] }, faultName(value))));
  select.addEventListener("change", () => { location.hash = alertsAddress({ ...chosen, [name]: select.value, cursor: "" }); });
  return select;
}

function deviceNote(chosen) {
  if (!chosen.deviceId) return null;
  return h("p", { class: "note" }, `Only of ${chosen.deviceId}. `, h("a", { href: alertsAddress({ ...chosen, deviceId: "", cursor: "" }) }, "Of all devices"));
}

export async function alertsPage(signal, query) {
  const chosen = Object.fromEntries([...query].filter(([name, value]) => value && PARAMETERS.includes(name)));
  const ask = () => get("/v1/alerts", { ...chosen, limit: PAGE_SIZE }, signal);
  const table = createAlertTable("Alerts", "alerts", true);
  const count = h("p", { class: "note" });
  const blank = h("p", { class: "blank" });
  const pages = h("div");
  let askedAt = 0;

  function show(page) {
    askedAt = Date.now();
    table.update(page);
    blank.hidden = page.items.length > 0;
    blank.textContent = blank.hidden ? "" : "No alert matches.";
    count.textContent = `${format.number(page.items.length)} ${page.items.length === 1 ? "alert" : "alerts"}, the last found first${page.next ? "; more on the next page" : ""}`;
    pages.replaceChildren(pageLinks((cursor) => alertsAddress({ ...chosen, cursor }), chosen.cursor, page.next));
  }

  show(await ask());
  return {
    title: "Alerts",
    element: h("div", { class: "page list" }, h("h1", null, "Alerts"),
      h("div", { class: "filters" }, stateLinks(chosen), Object.keys(CHOICES).map((name) => choice(chosen, name))), deviceNote(chosen),
      h("section", { class: "card" }, h("div", { class: "heading" }, count, table.csv), blank, table.element, pages)),
    async pulse() {
      if (Date.now() - askedAt >= AGAIN_AFTER_MS && !table.isInUse()) show(await ask());
    },
    leave: () => {},
  };
}
