// A table beside a chart, and the same rows as CSV.

import { h } from "./dom.js";

function quote(value) {
  if (value === null || value === undefined) return "";
  let text = value instanceof Date ? value.toISOString() : String(value);
  // a spreadsheet would run a text that begins like this; numbers stay numbers
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows as RFC 4180 has it; values are as the service gave them, times in UTC. */
export function toCsv(columns, rows) {
  const lines = [columns.map((column) => column.csv ?? column.name), ...rows.map((row) => columns.map((c) => c.value(row)))];
  return `${lines.map((line) => line.map(quote).join(",")).join("\r\n")}\r\n`;
}

/** The heading of a column: a text or an element. One that depends on the zone is made when the table is. */
export const headingOf = ({ name }) => (typeof name === "function" ? name() : name);

/**
 * A table that can be given other rows.
 * @param {string} caption for those who do not see where it stands.
 * @param {{name: string|Function, csv: string, value: Function, show: Function, kind: string, wraps: boolean, order: string}[]} columns
 *   value is what the CSV has, show what the table has; kind "text" is aligned to the left, and one that wraps may have several
 *   lines. A column without a name is in the CSV only; order is its aria-sort.
 */
export function createTable(caption, allColumns) {
  const columns = allColumns.filter((column) => column.name !== undefined);
  const body = h("tbody");
  const alignment = (column) => (column.kind === "text" ? { class: column.wraps && "wraps" } : { class: "figure" });
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", null,
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", null, h("tr", null, columns.map((column) => h("th", { scope: "col", "aria-sort": column.order, ...alignment(column) }, headingOf(column))))),
      body));
  const hint = h("p", { class: "hint", "aria-hidden": "true", hidden: true }, "scroll for more columns →");
  const watch = () => { hint.hidden = scroll.scrollWidth <= scroll.clientWidth; };
  new ResizeObserver(watch).observe(scroll);
  return {
    element: h("div", { class: "table" }, hint, scroll),
    update(rows) {
      body.replaceChildren(...rows.map((row) => h("tr", null, columns.map((column, index) => {
        const shown = (column.show ?? column.value)(row);
        return index ? h("td", alignment(column), shown) : h("th", { scope: "row", ...alignment(column) }, shown);
      }))));
      watch();
    },
  };
}

/** A link that saves what `rows` gives at the moment it is followed. */
export function csvLink(name, columns, rows) {
  const link = h("a", { class: "csv", href: "#", download: `${name}.csv` }, "CSV");
  link.setAttribute("aria-label", `${name} as CSV`);
  link.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([toCsv(columns, rows())], { type: "text/csv" }));
    link.href = url;
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  return link;
}
