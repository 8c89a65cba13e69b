// A chart with its name, its note and its table, which can be given other rows. Without the chart library the table opens.

import { createChart } from "./chart.js";
import { h } from "./dom.js";
import { createTable, csvLink } from "./table.js";

let numbers = 0;
/** The series that were hidden in the figures of each title: they stay so, on other pages too. */
const hiddenIn = new Map();

function hiddenOf(title) {
  if (!hiddenIn.has(title)) hiddenIn.set(title, new Set());
  return hiddenIn.get(title);
}

/**
 * @param {{title: string, note: string|Function, file: string, columns: object[], chart: Function, blank: string}} spec chart
 *   makes of the rows, and the range, what a chart takes (null: there is nothing to draw); blank is said then, unless update
 *   gets another. A note may be made of them, too: texts and elements.
 */
export function createFigure(spec) {
  const id = `figure-${++numbers}`;
  const canvas = h("div", { class: "chart", role: "img" });
  const blank = h("p", { class: "blank", hidden: true });
  const note = h("p", { class: "note" });
  const table = createTable(`${spec.title}, as a table`, spec.columns);
  const chart = createChart(canvas, hiddenOf(spec.title));
  let rows = [];
  const details = h("details", null, h("summary", null, "Table"), table.element);
  const element = h("section", { class: "card figure-card", "aria-labelledby": id },
    h("h2", { id }, spec.title), note, canvas, blank,
    h("div", { class: "below" }, details, csvLink(spec.file, spec.columns, () => rows)));
  return {
    element,
    async update(newRows, range, blankText = spec.blank ?? "No readings in this time.") {
      rows = newRows;
      table.update(rows);
      note.replaceChildren(...(typeof spec.note === "function" ? spec.note(rows, range) : [spec.note]));
      const options = spec.chart(rows, range);
      blank.hidden = options !== null;
      blank.textContent = blank.hidden ? "" : blankText;
      canvas.hidden = options === null;
      canvas.setAttribute("aria-label", `Chart: ${spec.title}. The table below has the same numbers.`);
      const library = await chart.update(options);
      if (options !== null && library === null) {
        canvas.hidden = true;
        details.open = true;
      }
    },
    destroy: chart.destroy,
  };
}
