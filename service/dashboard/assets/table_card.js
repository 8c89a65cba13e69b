// A card with a table, its note and its CSV.

import { h } from "./dom.js";
import { createTable, csvLink } from "./table.js";

/** A card with a table; `nothing` is said without rows, unless update gets another text. */
export function createCard(title, file, columns, note, nothing = "") {
  let rows = [];
  const table = createTable(title, columns);
  const blank = h("p", { class: "blank" });
  const element = h("section", { class: "card" },
    h("div", { class: "heading" }, h("h2", null, title), csvLink(file, columns, () => rows)),
    note ? h("p", { class: "note" }, note) : null, blank, table.element);
  return {
    element,
    update(newRows, blankText = nothing) {
      rows = newRows;
      blank.hidden = rows.length > 0;
      blank.textContent = blank.hidden ? "" : blankText;
      table.element.hidden = rows.length === 0;
      table.update(rows);
    },
  };
}
