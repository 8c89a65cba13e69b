// Draws with uPlot, in the colours of the page, on the clocks of the fleet.

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

function series(UPlot, spec) {
  return spec.series.map((one) => {
    const stroke = colour(one.colour);
    const drawn = { label: one.label, stroke, width: one.width ?? 2, spanGaps: one.spanGaps ?? false, value: (_u, v) => (v === null || v === undefined ? "–" : spec.value(v)), points: { show: one.points ?? false, size: 5 } };
    if (one.dash) drawn.dash = one.dash;
    if (one.bars !== undefined) {
      drawn.fill = stroke;
      drawn.width = 0;
      drawn.paths = UPlot.paths.bars({ size: [one.share ?? 0.4, 60], align: one.bars });
    } else if (one.stepped) drawn.paths = UPlot.paths.stepped({ align: 1 });
    return drawn;
  });
}

/**
 * @param {HTMLElement} target
 * @param {object} spec x (times in seconds, or numbers with `labels`), data (an array per series), series, bands, unit
 *   (of the axis), value (of the legend), range (of y), pad (beside the first and last x), lines ({at, colour, label}).
 * @returns {Promise<{destroy: Function}|null>} null without a library.
 */
export async function drawChart(target, spec) {
  const UPlot = await load();
  if (UPlot === null) return null;
  const isTime = spec.labels === undefined;
  const make = () => {
    const lines = {
      draw: (u) => {
        for (const line of spec.lines ?? []) {
          const y = Math.round(u.valToPos(line.at, "y", true));
          if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
          const { ctx } = u;
          ctx.save();
          ctx.strokeStyle = ctx.fillStyle = colour(line.colour);
          ctx.lineWidth = devicePixelRatio * 1.5;
          ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
          ctx.beginPath();
          ctx.moveTo(u.bbox.left, y);
          ctx.lineTo(u.bbox.left + u.bbox.width, y);
          ctx.stroke();
          ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
          ctx.textAlign = "right";
          ctx.textBaseline = "bottom";
          ctx.fillText(line.label, u.bbox.left + u.bbox.width - 4, y - 2);
          ctx.restore();
        }
      },
    };
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
      hooks: { draw: [lines.draw] },
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
