// Labels of the axes of a chart: times on the clocks of the fleet, and values with their unit.

import * as format from "./format.js";

const DAY_S = 86_400;

/** The decimals that tell ticks apart which are so far from each other. */
function decimalsFor(step) {
  const most = 9;
  for (let decimals = 0; decimals < most; decimals++) if (Math.abs(step * 10 ** decimals % 1) < 1e-6) return decimals;
  return most;
}

/** Labels of values in this unit. */
export const inUnit = (unit) => (ticks, step) => ticks.map((tick) => `${format.number(tick, decimalsFor(step))} ${unit}`);

/** Labels of energies, or of powers: kilo, mega or giga, as the highest of them asks for. */
const scaled = (unit) => (ticks, step) => {
  const top = Math.max(...ticks);
  const [size, prefix] = top >= 1e6 ? [1e6, "G"] : top >= 1e4 ? [1e3, "M"] : [1, "k"];
  return inUnit(`${prefix}${unit}`)(ticks.map((tick) => tick / size), step / size);
};
export const energies = scaled("Wh");
export const powers = scaled("W");

/** Labels of numbers of things: none between two of them. */
export const counts = (ticks) => ticks.map((tick) => (Number.isInteger(tick) ? format.number(tick) : ""));

export function times(_uplot, ticks, _axis, _space, step) {
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    if (step >= 28 * DAY_S) return format.month(date);
    const clock = format.time(date);
    return step >= DAY_S || clock === "00:00" ? format.day(date) : clock;
  });
}
