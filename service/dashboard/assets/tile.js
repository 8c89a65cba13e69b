// A figure in a box, with its unit and a note. A tile with a link leads to what its figure is about.

import { h } from "./dom.js";

/** @param {string} href the address that the name of the tile leads to, if any. */
export function createTile(name, href = null) {
  const value = h("span", { class: "value" }, "–");
  const unit = h("span", { class: "unit" });
  const note = h("p", { class: "note" }, "\u00a0");
  const element = h("section", { class: "card tile" }, h("h2", null, href ? h("a", { href }, name) : name), h("p", null, value, " ", unit), note);
  return {
    element,
    /** Each is a text or an element, the note may be a list of them; `warn` marks it. */
    update(text, more, below, warn = false) {
      value.replaceChildren(text);
      unit.replaceChildren(more);
      note.replaceChildren(...[below || "\u00a0"].flat());
      note.classList.toggle("warn", warn);
    },
  };
}
