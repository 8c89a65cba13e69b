// A figure in a box, with its unit and a note.

import { h } from "./dom.js";

export function createTile(name) {
  const value = h("span", { class: "value" }, "–");
  const unit = h("span", { class: "unit" });
  const note = h("p", { class: "note" }, "\u00a0");
  const element = h("section", { class: "card tile" }, h("h2", null, name), h("p", null, value, " ", unit), note);
  return {
    element,
    /** `more` is a text or an element; `warn` marks the note. */
    update(text, more, below, warn = false) {
      value.textContent = text;
      unit.replaceChildren(more);
      note.textContent = below || "\u00a0";
      note.classList.toggle("warn", warn);
    },
  };
}
