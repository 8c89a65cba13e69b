// Statuses of devices and of efficiencies as the service says them: their meaning and their badge. SQL alone decides which
// one holds.

import { h } from "./dom.js";

const MEANING = {
  normal: "Efficiency as expected",
  low: "A hardware fault or leakage",
  impossible: "More energy delivered than consumed",
  idle: "Nothing delivered, and no more consumed than in standby",
  unknown: "No readings of one side, or a time shorter than the interval of a device",
  reporting: "Sends readings as expected",
  silent: "No reading for several of its expected intervals",
  retired: "Out of use until it reports again",
};

/** The statuses that have an efficiency to draw. */
export const JUDGED = ["normal", "low", "impossible"];

/** A status in a word, with its meaning as the title. */
export function badge(status) {
  return h("span", { class: "badge", "data-status": status, title: MEANING[status] }, status);
}
