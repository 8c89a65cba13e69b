// Charts of buckets: their place on the axis of time, energies beside their mean power, and means within their band.

import * as axis from "./axis.js";
import * as format from "./format.js";
import { HOUR_MS } from "./zone.js";

export const pick = (rows, name) => rows.map((row) => row[name]);
export const has = (rows, ...names) => rows.some((row) => names.some((name) => typeof row[name] === "number"));

/** All buckets of a range up to the last row, so that bars are as wide as a bucket. Those without readings have no fields. */
function everyBucket(rows, { start, buckets }) {
  const byStart = new Map(rows.map((row) => [Date.parse(row.bucket), row]));
  const last = Math.max(start, ...byStart.keys());
  const all = [];
  for (let at = buckets.floor(start); at <= last; at = buckets.end(at)) {
    if (at >= start) all.push(byStart.get(at) ?? { bucket: new Date(at).toISOString(), isOpen: false });
  }
  return all;
}

/** A figure's chart over all buckets of its range, from one over those with readings; null where there is nothing to draw. */
export const overTime = (chart, ...names) => (rows, range) => (has(rows, ...names) ? chart(everyBucket(rows, range), range) : null);

/** The buckets with their length in hours, for their mean power. */
export function withHours(rows, { buckets }) {
  return rows.map((row) => {
    const start = Date.parse(row.bucket);
    return { ...row, hours: (buckets.end(start) - start) / HOUR_MS };
  });
}

/** The mean power (kW) of an energy of a bucket; none while the bucket is not over. */
const powerOf = (row, kwh) => (row.isOpen || kwh === null ? null : kwh / row.hours);

export const powerColumn = (name, csv, energy) => ({
  name, csv, value: (row) => powerOf(row, row[energy]), show: (row) => format.number(powerOf(row, row[energy]), 2),
});

/** The axis of time: all of the range, and each bucket at its middle, named by its start as in the table. */
export function place(rows, { start, end, buckets, zoom, shades }) {
  const starts = rows.map((row) => Date.parse(row.bucket));
  const ends = starts.map(buckets.end);
  return {
    x: starts.map((from, i) => (from + ends[i]) / 2000), names: rows.map((row, i) => `${format.dateTime(new Date(starts[i]))}${row.isOpen ? " so far" : ""}`), xLabel: "From",
    open: pick(rows, "isOpen"), span: [start / 1000, Math.max(end, ...ends.slice(-1)) / 1000], select: zoom, shades,
  };
}

/** A chart of energies as bars, with an axis of kWh and one of the mean kW; `series` by the names of their energies. */
export function energyChart(rows, range, series) {
  const value = (kwh, i) => {
    const kw = powerOf(rows[i], kwh);
    return `${format.number(kwh, 2)} kWh${kw === null ? "" : ` (${format.number(kw, 1)} kW)`}`;
  };
  return {
    ...place(rows, range), data: Object.keys(series).map((name) => rows.map((row) => row[name] ?? null)), series: Object.values(series),
    axis: axis.energies, right: { axis: axis.powers, divisor: range.buckets.hours }, value,
  };
}

/** A chart of a mean within the band from lowest to highest, with one decimal; `names` are those of lowest, mean, highest. */
export const bandChart = (rows, range, [low, mean, high], unit, colour) => ({
  ...place(rows, range), data: [pick(rows, high), pick(rows, low), pick(rows, mean)],
  series: [{ label: "Highest", colour: "edge", width: 1, isWhole: true }, { label: "Lowest", colour: "edge", width: 1, isWhole: true }, { label: "Mean", colour }],
  bands: [{ series: [1, 2], colour: "band" }], axis: axis.inUnit(unit), value: (v) => `${format.number(v, 1)} ${unit}`,
  range: (_u, lowest, highest) => [Math.floor(lowest - 2), Math.ceil(highest + 2)],
});
