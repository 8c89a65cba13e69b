// A chart with its name, its note and its table, which can be given other rows. Without the chart library the table opens.

import { drawChart } from "./chart.js";
import { h } from "./dom.js";
import { createTable, csvLink } from "./table.js";

let numbers = 0;

/**
 * @param {{title: string, note: string, file: string, columns: object[], chart: Function, blank: string}} spec chart
 *   makes of the rows what drawChart takes (null: there is nothing to draw); blank is said then, unless update gets another.
 */
export function createFigure(spec) {
  const id = `figure-${++numbers}`;
  const canvas = h("div", { class: "chart", role: "img" });
  const blank = h("p", { class: "blank", hidden: true });
  const table = createTable(`${spec.title}, as a table`, spec.columns);
  let rows = [];
  const details = h("details", null, h("summary", null, "Table"), table.element);
  const element = h("section", { class: "card figure-card", "aria-labelledby": id },
    h("h2", { id }, spec.title), spec.note ? h("p", { class: "note" }, spec.note) : null, canvas, blank,
    h("div", { class: "below" }, details, csvLink(spec.file, spec.columns, () => rows)));
  let chart = null;
  return {
    element,
    async update(newRows, blankText = spec.blank ?? "No readings in this time.") {
      rows = newRows;
      table.update(rows);
      const options = spec.chart(rows);
      blank.hidden = options !== null;
      blank.textContent = blank.hidden ? "" : blankText;
      canvas.hidden = options === null;
      canvas.setAttribute("aria-label", `Chart: ${spec.title}. ${spec.summary?.(rows) ?? ""} The table below has the same numbers.`);
      chart?.destroy();
      chart = options === null ? null : await drawChart(canvas, options);
      if (options !== null && chart === null) {
        canvas.hidden = true;
        details.open = true;
      }
    },
    destroy() {
      chart?.destroy();
      chart = null;
    },
  };
}
