// States of a page without data: loading, empty, an error, no access, and the form for a key.

import { h } from "./dom.js";

function state(kind, title, ...children) {
  return h("section", { class: "state", "data-kind": kind }, h("h1", null, title), ...children);
}

export function loading(what) {
  return h("section", { class: "state", "data-kind": "loading", "aria-busy": "true" },
    h("p", { role: "status" }, `Loading ${what}`),
    h("div", { class: "bones", "aria-hidden": "true" }, h("span"), h("span"), h("span"), h("span")));
}

export function empty(title, text, ...more) {
  return state("empty", title, h("p", null, text), ...more);
}

/** A text as a sentence of its own. */
const sentence = (text) => `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** An error, and a way to try again. */
export function failed(error, retry) {
  const button = h("button", { type: "button", onclick: retry }, "Try again");
  return state("error", "This cannot be shown now",
    h("p", { role: "alert" }, `${sentence(error.message)} It is tried again by itself.`), button);
}

export function notFound(id) {
  return state("empty", "Unknown device",
    h("p", { role: "alert" }, `Neither a vehicle nor a meter with the id ${id} has sent a reading.`),
    h("p", null, h("a", { href: "#/" }, "To the fleet")));
}

export function noAccess(again) {
  return state("no-access", "This key may not read",
    h("p", { role: "alert" }, "The key holds, but only sends readings. The dashboard needs one of scope ", h("code", null, "read"), " or ", h("code", null, "admin"), "."),
    h("button", { type: "button", onclick: again }, "Use another key"));
}

/** The form for a key; `given` gets what was typed. `wasRefused` says that the last one did not hold. */
export function askForKey(given, wasRefused) {
  const input = h("input", {
    id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-help",
    "aria-invalid": wasRefused ? "true" : null,
  });
  const form = h("form", { class: "key" },
    h("label", { for: "key" }, "Read key"), input, h("button", null, "Show the dashboard"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    given(input.value.trim());
  });
  return state("key", "A key is needed",
    wasRefused ? h("p", { role: "alert", class: "wrong" }, "This key does not hold: mistyped, expired or revoked.") : null,
    form,
    h("p", { id: "key-help" }, "It is kept in this tab only. A key is made with ", h("code", null, "energy keys create --scope read"), ". One of scope ", h("code", null, "admin"), " may also acknowledge alerts."));
}
