// Charts by uPlot, in the colours of the page, on the clocks of the fleet.

import { h } from "./dom.js";
import * as format from "./format.js";

let library;

/** The chart library, or null where it could not be installed: then there are tables. */
function load() {
  library ??= import("/dashboard/uPlot.esm.js").then((module) => module.default, () => null);
  return library;
}

const HEIGHT = 230;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function timeTicks(uplot, splits, _axis, _space, step) {
  return splits.map((split) => {
    const date = new Date(split * 1000);
    if (step >= 28 * 86400) return format.month(date);
    const clock = format.time(date);
    return step >= 86400 || clock === "00:00" ? format.day(date) : clock;
  });
}

function axes(spec) {
  const common = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return [
    { ...common, size: 34, grid: { show: false }, values: spec.labels ?? timeTicks, splits: spec.splits, space: 56 },
    { ...common, size: 56, space: 34, values: (_u, splits) => splits.map((split) => spec.unit(split)) },
  ];
}

/** A fill of diagonal lines in this colour, for bars of a bucket that is not over. */
function hatching(name) {
  const size = Math.round(6 * devicePixelRatio);
  const tile = h("canvas", { width: size, height: size });
  const context = tile.getContext("2d");
  context.strokeStyle = colour(name);
  context.lineWidth = size / 4;
  for (const shift of [-size, 0, size]) {
    context.moveTo(shift, size);
    context.lineTo(shift + size, 0);
  }
  context.stroke();
  return context.createPattern(tile, "repeat");
}

/**
 * Split the series where a bucket is not over: "so far" is a series of its own. Its bars are hatched; its line is dashed, and
 * begins at the bucket before. A series that isWhole stays as it is.
 */
function splitOpen(spec) {
  if (!spec.open?.includes(true)) return spec;
  const parts = spec.series.flatMap((one, index) => {
    const values = spec.data[index];
    if (one.isWhole) return [[one, values]];
    const isShared = (i) => one.bars === undefined && spec.open[i + 1];
    return [
      [one, values.map((value, i) => (spec.open[i] ? null : value))],
      [{ ...one, label: `${one.label} so far`, open: spec.open }, values.map((value, i) => (spec.open[i] || isShared(i) ? value : null))],
    ];
  });
  return { ...spec, series: parts.map(([one]) => one), data: parts.map(([, values]) => values) };
}

function series(UPlot, spec) {
  return spec.series.map((one) => {
    const stroke = colour(one.colour);
    const value = (_u, v, _series, index) => (v === null || v === undefined || (one.open && !one.open[index]) ? "–" : spec.value(v));
    const drawn = { label: one.label, stroke, width: one.width ?? 2, value, points: { show: one.points ?? false, size: 5 } };
    if (one.bars !== undefined) {
      drawn.fill = one.open ? hatching(one.colour) : stroke;
      drawn.width = one.open ? 1 : 0;
      drawn.paths = UPlot.paths.bars({ size: [one.share ?? 0.4, 60], align: one.bars });
    } else if (one.isPoints) {
      drawn.paths = () => null;
      drawn.points = { show: true, size: 8, width: 0, stroke, fill: stroke };
    } else if (one.open) {
      drawn.dash = [5, 4];
      // the point of the bucket before is not open
      drawn.points = { show: true, size: 12, width: 2, fill: colour("card"), filter: () => one.open.flatMap((isOpen, i) => (isOpen ? [i] : [])) };
    }
    return drawn;
  });
}

/** The marker of a series in the legend, drawn as the series is. */
function marker(spec) {
  const of = (index) => spec.series[index - 1];
  const stripes = (name) => `repeating-linear-gradient(135deg, ${colour(name)} 0 2px, transparent 2px 4px)`;
  return {
    dash: (_u, index) => (of(index).open && of(index).bars === undefined ? "dashed" : "solid"),
    stroke: (_u, index) => colour(of(index).colour),
    fill: (_u, index) => {
      const { bars, open, isPoints, colour: name } = of(index);
      if (bars !== undefined && open) return stripes(name);
      return bars !== undefined || isPoints ? colour(name) : "transparent";
    },
  };
}

/**
 * @param {HTMLElement} target
 * @param {object} whole x (times in seconds, or numbers with `labels`), data (an array per series), series, open (for each x,
 *   whether its bucket is not over), bands, unit (of the axis), value (of the legend), range (of y), pad (beside the first
 *   and last x).
 * @returns {Promise<{destroy: Function}|null>} null without a library.
 */
export async function drawChart(target, whole) {
  const UPlot = await load();
  if (UPlot === null) return null;
  const spec = splitOpen(whole);
  const isTime = spec.labels === undefined;
  const make = () => {
    const options = {
      width: Math.max(200, target.clientWidth),
      height: HEIGHT,
      tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), format.getZone()),
      scales: {
        x: { time: isTime, range: (_u, low, high) => [low - spec.pad, high + spec.pad] },
        y: { range: spec.range ?? ((_u, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : 1]) },
      },
      axes: axes(spec),
      series: [{ value: spec.labels ? (_u, v) => (v === null ? "–" : spec.labels(_u, [v])[0]) : (_u, v) => (v === null ? "–" : format.dateTime(new Date(v * 1000))), label: spec.xLabel ?? "Time" }, ...series(UPlot, spec)],
      bands: (spec.bands ?? []).map((band) => ({ series: band.series, fill: colour(band.colour) })),
      legend: { markers: marker(spec) },
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    };
    target.replaceChildren();
    return new UPlot(options, [spec.x, ...spec.data], target);
  };
  let plot = make();
  const resized = new ResizeObserver(() => {
    if (target.clientWidth > 0) plot.setSize({ width: Math.max(200, target.clientWidth), height: HEIGHT });
  });
  resized.observe(target);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => {
    plot.destroy();
    plot = make();
  };
  dark.addEventListener("change", repaint);
  return {
    destroy() {
      resized.disconnect();
      dark.removeEventListener("change", repaint);
      plot.destroy();
    },
  };
}
