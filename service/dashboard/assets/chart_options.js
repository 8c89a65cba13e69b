// Options of a chart for uPlot: axes, scales, the shared crosshair, dragging, and what the legend does. `spec()` is what the
// chart shows at present.

import * as axis from "./axis.js";
import { colour } from "./series.js";

const CHARACTER = 7;
const SHARED = { key: "time", filters: { pub: (type) => type === "mousemove" } };

/** Room for the longest label, in pixels. */
const room = (_u, labels) => Math.max(48, 14 + CHARACTER * Math.max(0, ...(labels ?? []).map((label) => label.length)));

export function axes(spec) {
  const common = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const values = (labels) => (_u, ticks, _axis, _space, step) => labels(ticks, step);
  const y = { ...common, size: room, space: 34 };
  return [
    { ...common, size: 34, grid: { show: false }, values: spec().labels ? (_u, ticks) => spec().labels(ticks) : axis.times, space: 56 },
    { ...y, values: values((ticks, step) => spec().axis(ticks, step)) },
    ...(spec().right ? [{ ...y, scale: "right", side: 1, grid: { show: false }, values: values(spec().right.axis) }] : []),
  ];
}

export function scales(spec) {
  return {
    x: { time: !spec().labels, range: () => spec().span },
    y: { range: (uplot, low, high) => spec().range?.(uplot, low, high) ?? [Math.min(0, low), high > 0 ? high * 1.08 : 1] },
    ...(spec().right ? { right: { from: "y", range: (_u, low, high) => [low / spec().right.divisor, high / spec().right.divisor] } } : {}),
  };
}

/** The cursor: charts of time share it, and a stretch that is dragged on one of them goes to `select(from, to)`, in seconds. */
export function cursor(spec) {
  const isTime = !spec().labels;
  const fill = (uplot, index) => {
    const one = spec().series[index - 1];
    return colour(one.colours?.[uplot.cursor.idxs[index]] ?? one.colour);
  };
  return {
    drag: { x: isTime && Boolean(spec().select), y: false, setScale: false, dist: 8 },
    y: false,
    points: { size: 8, fill, stroke: fill },
    ...(isTime ? { sync: SHARED } : {}),
  };
}

/** Tint the ground of the stretches of the spec, once where they overlap. */
export function shade(spec) {
  return (uplot) => {
    const { left, top, width, height } = uplot.bbox;
    const place = (at) => Math.min(left + width, Math.max(left, uplot.valToPos(at, "x", true)));
    uplot.ctx.beginPath();
    for (const [from, to] of spec().shades ?? []) uplot.ctx.rect(place(from), top, place(to) - place(from), height);
    uplot.ctx.fillStyle = colour("alert");
    uplot.ctx.fill();
  };
}

export function onSelect(spec) {
  return (uplot) => {
    const { left, width } = uplot.select;
    uplot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (width > 0) spec().select(uplot.posToVal(left, "x"), uplot.posToVal(left + width, "x"));
  };
}

/** The name of a series, which it shares with its part that is not over. */
export const seriesName = (one) => one.with ?? one.label;

/** Note which series are hidden, and let those of one name follow each other. */
export function onToggle(spec, hidden) {
  return (uplot, index, { show }) => {
    if (show === undefined || index === null) return;
    const name = (i) => seriesName(spec().series[i - 1]);
    if (show) hidden.delete(name(index));
    else hidden.add(name(index));
    uplot.series.forEach((one, i) => {
      if (i && i !== index && name(i) === name(index) && one.show !== show) uplot.setSeries(i, { show });
    });
  };
}

const lengthOf = (texts) => Math.max(1, ...texts.map((text) => text.length));

/** The longest value and the longest name in the legend, in characters: with this room nothing moves when they change. */
export function longest({ series, names, value }) {
  const texts = series.flatMap(({ values }) => values.map((one, i) => (typeof one === "number" ? value(one, i) : "–")));
  return { value: lengthOf(texts), name: lengthOf(names) };
}
