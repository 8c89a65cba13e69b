// Charts by uPlot, in the colours of the page. The charts of time on a page share their crosshair; dragging chooses a time.

import * as axis from "./axis.js";
import * as format from "./format.js";
import { colour, markers, seriesOf, splitOpen } from "./series.js";

let library;

/** The chart library, or null where it could not be installed: then there are tables. */
function load() {
  library ??= import("/dashboard/uPlot.esm.js").then((module) => module.default, () => null);
  return library;
}

const HEIGHT = 230;
const CHARACTER = 7;
const SHARED = { key: "time", filters: { pub: (type) => type === "mousemove" } };

/** Room for the longest label, in pixels. */
const room = (_u, labels) => Math.max(48, 14 + CHARACTER * Math.max(0, ...(labels ?? []).map((label) => label.length)));

function axes(spec) {
  const common = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const values = (labels) => (_u, ticks, _axis, _space, step) => labels(ticks, step);
  const y = { ...common, size: room, space: 34 };
  return [
    { ...common, size: 34, grid: { show: false }, values: spec().labels ? (_u, ticks) => spec().labels(ticks) : axis.times, space: 56 },
    { ...y, values: values((ticks, step) => spec().axis(ticks, step)) },
    ...(spec().right ? [{ ...y, scale: "right", side: 1, grid: { show: false }, values: values(spec().right.axis) }] : []),
  ];
}

function scales(spec) {
  return {
    x: { time: !spec().labels, range: () => spec().span },
    y: { range: (uplot, low, high) => spec().range?.(uplot, low, high) ?? [Math.min(0, low), high > 0 ? high * 1.08 : 1] },
    ...(spec().right ? { right: { from: "y", range: (_u, low, high) => [low / spec().right.divisor, high / spec().right.divisor] } } : {}),
  };
}

/** The cursor: charts of time share it, and a stretch that is dragged on one of them goes to `select(from, to)`, in seconds. */
function cursor(spec) {
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

function onSelect(spec) {
  return (uplot) => {
    const { left, width } = uplot.select;
    uplot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (width > 0) spec().select(uplot.posToVal(left, "x"), uplot.posToVal(left + width, "x"));
  };
}

/** Note which series are hidden, and let those of one name follow each other. */
function onToggle(spec, hidden) {
  return (uplot, index, { show }) => {
    if (show === undefined || index === null) return;
    const name = (i) => spec().series[i - 1].with ?? spec().series[i - 1].label;
    if (show) hidden.delete(name(index));
    else hidden.add(name(index));
    uplot.series.forEach((one, i) => {
      if (i && i !== index && name(i) === name(index) && one.show !== show) uplot.setSeries(i, { show });
    });
  };
}

/** The width of the longest value in the legend, in characters: with it, nothing moves when the values change. */
function longestValue(spec) {
  const texts = spec.series.flatMap(({ values }) => values.map((value, i) => (typeof value === "number" ? spec.value(value, i) : "–")));
  return { value: Math.max(1, ...texts.map((text) => text.length)), name: Math.max(1, ...spec.names.map((text) => text.length)) };
}

/** The form of a chart: with another one it is made anew. */
const shapeOf = (spec) => JSON.stringify([spec.series.map(({ label, colour: name }) => [label, name]), Boolean(spec.right)]);

/**
 * A chart in `target`. `update` takes, or returns null without a library:
 * x (seconds, or numbers with `labels`, their texts), names (of each x, in the legend, under xLabel), span (first and last x),
 * data (an array per series), series, open (for each x, whether its bucket is not over), bands, axis (labels of ticks), right
 * (a second axis: axis, and the divisor of its values), value (of the legend), range (of y), select (a dragged time).
 * @param {Set<string>} hidden names of series that are hidden; it follows the legend.
 */
export function createChart(target, hidden) {
  let plot = null;
  let spec = null;
  let ended = false;
  const current = () => spec;

  function make(UPlot) {
    const first = { label: spec.xLabel, value: (_u, _v, _s, index) => (index === null || index === undefined ? "–" : spec.names[index]) };
    const options = {
      width: Math.max(200, target.clientWidth), height: HEIGHT,
      tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), format.getZone()),
      scales: scales(current), axes: axes(current), cursor: cursor(current),
      series: [first, ...seriesOf(UPlot, current).map((one, i) => ({ ...one, show: !hidden.has(spec.series[i].with ?? spec.series[i].label) }))],
      bands: (spec.bands ?? []).map((band) => ({ series: band.series, fill: colour(band.colour) })),
      legend: { markers: markers(current) },
      hooks: { setSelect: [onSelect(current)], setSeries: [onToggle(current, hidden)] },
    };
    target.replaceChildren();
    plot = new UPlot(options, [spec.x, ...spec.data], target);
  }

  function sizeLegend() {
    const { value, name } = longestValue(spec);
    plot.root.style.setProperty("--value", `${value}ch`);
    plot.root.style.setProperty("--name", `${name}ch`);
  }

  const resized = new ResizeObserver(() => {
    if (plot && target.clientWidth > 0) plot.setSize({ width: Math.max(200, target.clientWidth), height: HEIGHT });
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const repaint = async () => {
    plot?.destroy();
    plot = null;
    if (spec) await draw();
  };

  async function draw() {
    const UPlot = await load();
    if (UPlot === null || ended || !spec) return UPlot;
    if (plot) plot.setData([spec.x, ...spec.data]);
    else make(UPlot);
    sizeLegend();
    return UPlot;
  }

  function clear() {
    plot?.destroy();
    plot = null;
  }

  resized.observe(target);
  dark.addEventListener("change", repaint);
  return {
    /** Draw this; null clears the chart. Returns null where there is no library. */
    update(whole) {
      const next = whole && splitOpen(whole);
      if (!next || (spec && shapeOf(spec) !== shapeOf(next))) clear();
      spec = next;
      return draw();
    },
    destroy() {
      ended = true;
      resized.disconnect();
      dark.removeEventListener("change", repaint);
      clear();
    },
  };
}
