// Choice of the range of a page, as links: lengths up to now, the calendar's day, week and month, the range before and
// after; and a form for any other.

import { h } from "./dom.js";
import * as format from "./format.js";
import { LONGEST_MS, ROLLING, describe, neighbour, rangeBetween, unitOf, unitRange } from "./range.js";
import { DAY_MS, MINUTE_MS, UNITS, instantOf, wallOf } from "./zone.js";

const NAMES = { day: "Day", week: "Week", month: "Month" };

/** The text of an input of type datetime-local, on the clocks of the fleet. */
const inputText = (ms) => new Date(wallOf(ms)).toISOString().slice(0, 16);
const inputTime = (input) => instantOf(Date.parse(`${input.value}:00Z`));

const point = (link, range, base) => link.setAttribute("href", `${base}?${range.query}`);

/** Point a link to a range; without one it is disabled, and keeps the focus. */
function pointOrDisable(link, range, base) {
  if (range) point(link, range, base);
  else link.removeAttribute("href");
  link.setAttribute("aria-disabled", String(!range));
}

function mark(link, isCurrent) {
  if (isCurrent) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

/** The form for any range; `chosen` gets it. */
function createForm(chosen) {
  const [from, until] = ["From", "Until"].map(() => h("input", { type: "datetime-local", required: true, step: MINUTE_MS / 1000 }));
  const zone = h("span", { class: "note" });
  const form = h("form", { class: "pick" }, h("label", null, "From ", from), h("label", null, "until ", until), zone, h("button", null, "Show"));
  for (const input of [from, until]) input.addEventListener("input", () => until.setCustomValidity(""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const range = rangeBetween(inputTime(from), inputTime(until));
    if (range) return chosen(range);
    until.setCustomValidity(`The end lies a minute to ${LONGEST_MS / DAY_MS} days after the start.`);
    until.reportValidity();
  });
  return {
    element: form,
    update(range) {
      [from.value, until.value] = [inputText(range.start), inputText(range.end)];
      zone.textContent = format.zoneName();
    },
  };
}

/** The choice of the range of the page at `base`; `go` opens an address. */
export function createRangeBar(base, go) {
  const rolling = Object.entries(ROLLING).map(([key, { name }]) => [key, h("a", { href: `${base}?range=${key}` }, name)]);
  const units = UNITS.map((unit) => [unit, h("a", null, NAMES[unit])]);
  const [before, after] = [["Earlier", "‹"], ["Later", "›"]].map(([name, sign]) => h("a", { class: "step", role: "link", tabindex: "0", "aria-label": name, title: name }, sign));
  const words = h("p", { class: "shown" });
  const form = createForm((range) => go(`${base}?${range.query}`));
  const picker = h("details", null, h("summary", null, "Other times"), form.element);
  return {
    element: h("div", { class: "range-bar" },
      h("nav", { class: "ranges", "aria-label": "Length of time" }, [...rolling, ...units].map(([, link]) => link)),
      h("nav", { class: "ranges", "aria-label": "Time before and after" }, before, words, after), picker),
    update(range) {
      rolling.forEach(([key, link]) => mark(link, key === range.rolling));
      for (const [unit, link] of units) {
        point(link, unitRange(unit, range), base);
        mark(link, unit === unitOf(range));
      }
      pointOrDisable(before, neighbour(range, -1), base);
      pointOrDisable(after, range.rolling || !range.isOver ? null : neighbour(range, 1), base);
      words.textContent = `${describe(range)}, ${format.zoneName()}`;
      if (!picker.contains(document.activeElement)) form.update(range);
    },
  };
}
