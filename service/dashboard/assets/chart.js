// Charts by uPlot, in the colours of the page: the library, and the life of a chart.

import { axes, cursor, longest, onSelect, onToggle, scales, seriesName, shade } from "./chart_options.js";
import * as format from "./format.js";
import { colour, markers, seriesOf, splitOpen } from "./series.js";

let library;

/** The chart library, or null where it could not be installed: then there are tables. */
function load() {
  library ??= import("/dashboard/uPlot.esm.js").then((module) => module.default, () => null);
  return library;
}

const HEIGHT = 230;

/** The form of a chart: with another one it is made anew. */
const shapeOf = (spec) => JSON.stringify([spec.series.map(({ label, colour: name }) => [label, name]), Boolean(spec.right)]);

/**
 * A chart in `target`. `update` takes, or returns null without a library:
 * x (seconds, or numbers with `labels`, their texts), names (of each x, in the legend, under xLabel), span (first and last x),
 * data (an array per series), series, open (for each x, whether its bucket is not over), bands, axis (labels of ticks), right
 * (a second axis: axis, and the divisor of its values), value (of the legend), range (of y), select (a dragged time), shades (pairs of x: stretches with a tinted ground).
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
      series: [first, ...seriesOf(UPlot, current).map((one, i) => ({ ...one, show: !hidden.has(seriesName(spec.series[i])) }))],
      bands: (spec.bands ?? []).map((band) => ({ series: band.series, fill: colour(band.colour) })),
      legend: { markers: markers(current) },
      hooks: { drawClear: [shade(current)], setSelect: [onSelect(current)], setSeries: [onToggle(current, hidden)] },
    };
    target.replaceChildren();
    plot = new UPlot(options, [spec.x, ...spec.data], target);
  }

  function sizeLegend() {
    const { value, name } = longest(spec);
    plot.root.style.setProperty("--value", `${value}ch`);
    plot.root.style.setProperty("--name", `${name}ch`);
  }

  const resized = new ResizeObserver(() => {
    if (plot && target.clientWidth > 0) plot.setSize({ width: Math.max(200, target.clientWidth), height: HEIGHT });
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
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

  function repaint() {
    clear();
    draw();
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
