// Alerts as a table: the fault in words, its times, and who looks after it. An admin key may acknowledge an alert there.

import { pathOf, post } from "./api.js";
import { deviceLink, timeColumn } from "./columns.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { createTable, csvLink } from "./table.js";

const LONGEST_NOTE = 1024;

export const faultName = (ruleKind) => ruleKind.replaceAll("_", " ");

const severityBadge = (severity) => h("span", { class: "badge", "data-severity": severity }, severity);

const fault = (alert) => [h("span", { class: "fault" }, faultName(alert.ruleKind)), severityBadge(alert.severity)];

/** When it closed and why; a closed alert keeps what was wrong. */
const closed = (alert) => (alert.closedAt
  ? [format.dateTime(new Date(alert.closedAt)), h("p", { class: "note" }, alert.closeReason)]
  : h("span", { class: "badge", "data-status": "open" }, "open"));

const said = (alert) => [`${alert.acknowledgedBy}, ${format.dateTime(new Date(alert.acknowledgedAt))}`, alert.note ? h("p", { class: "note" }, alert.note) : ""];

/** The form that acknowledges an alert; `done` gets the alert as it is then. */
function acknowledgeForm(alert, done) {
  const note = h("input", { maxlength: LONGEST_NOTE, autocomplete: "off", "aria-label": `Note to alert ${alert.id}`, placeholder: "Note, if any" });
  const wrong = h("p", { role: "alert", class: "note warn" });
  const button = h("button", null, "Save");
  const form = h("form", { class: "acknowledge" }, note, button, wrong);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      done(await post(`${pathOf("/v1/alerts", alert.id)}/acknowledge`, note.value.trim() ? { note: note.value.trim() } : {}));
    } catch (error) {
      wrong.textContent = error.message;
      button.disabled = false;
    }
  });
  return h("details", null, h("summary", { "aria-label": `Acknowledge alert ${alert.id}` }, "Acknowledge"), form);
}

/** A table of alerts and its CSV; `withDevice` adds the column of the device. */
export function createAlertTable(caption, file, withDevice) {
  let rows = [];
  let mayAcknowledge = false;

  function replace(alert) {
    update({ items: rows.map((row) => (row.id === alert.id ? alert : row)), mayAcknowledge });
  }

  function acknowledgement(alert) {
    if (alert.acknowledgedAt) return said(alert);
    return mayAcknowledge ? acknowledgeForm(alert, replace) : "–";
  }

  const columns = [
    { name: "Fault", csv: "ruleKind", kind: "text", value: (r) => r.ruleKind, show: fault },
    { csv: "severity", value: (r) => r.severity },
    { csv: "id", value: (r) => r.id },
    { csv: "ruleName", value: (r) => r.ruleName },
    { csv: "kind", value: (r) => r.kind },
    { name: withDevice ? "Device" : undefined, csv: "deviceId", kind: "text", value: (r) => r.deviceId, show: (r) => deviceLink(r.kind, r.deviceId) },
    timeColumn("Opened", "openedAt"),
    { ...timeColumn("Closed", "closedAt"), show: closed },
    { csv: "closeReason", value: (r) => r.closeReason },
    { name: "Why", csv: "reason", kind: "text", wraps: true, value: (r) => r.reason, show: (r) => h("div", { class: "why" }, r.reason) },
    { name: "Acknowledged", csv: "acknowledgedBy", kind: "text", wraps: true, value: (r) => r.acknowledgedBy, show: acknowledgement },
    { csv: "acknowledgedAt", value: (r) => r.acknowledgedAt },
    { csv: "note", value: (r) => r.note },
  ];
  const table = createTable(caption, columns);

  function update(page) {
    rows = page.items;
    mayAcknowledge = page.mayAcknowledge;
    table.update(rows);
    table.element.hidden = rows.length === 0;
  }

  return {
    element: table.element,
    csv: csvLink(file, columns, () => rows),
    update,
    /** Whether somebody is writing a note, which another update would lose. */
    isInUse: () => table.element.querySelector("details[open]") !== null,
  };
}
