// Series of a chart for uPlot: bars, lines, bands, buckets that are not over, and lines whose colour follows their values.

import { h } from "./dom.js";

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

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
 * begins at the bucket before. A series that isWhole stays as it is. The first part keeps all values, for the legend.
 */
export function splitOpen(spec) {
  const whole = spec.series.map((one, index) => ({ ...one, values: spec.data[index] }));
  if (!spec.open?.includes(true)) return { ...spec, series: whole };
  const parts = whole.flatMap((one) => {
    const { values } = one;
    if (one.isWhole) return [[one, values]];
    const isShared = (i) => one.bars === undefined && spec.open[i + 1];
    return [
      [one, values.map((value, i) => (spec.open[i] ? null : value))],
      [{ ...one, label: `${one.label} so far`, with: one.label, open: spec.open }, values.map((value, i) => (spec.open[i] || isShared(i) ? value : null))],
    ];
  });
  return { ...spec, series: parts.map(([one]) => one), data: parts.map(([, values]) => values) };
}

/** The colour of each stretch of a line, as a gradient with steps halfway between values of different colours. */
function stretches(uplot, xs, names) {
  const { left, width } = uplot.bbox;
  const gradient = uplot.ctx.createLinearGradient(left, 0, left + width, 0);
  const known = xs.map((x, i) => [x, names[i]]).filter(([, name]) => name);
  const share = (x) => Math.min(1, Math.max(0, (uplot.valToPos(x, "x", true) - left) / width));
  known.forEach(([x, name], i) => {
    const before = known[i - 1];
    if (before?.[1] === name) return;
    const at = before ? share((before[0] + x) / 2) : 0;
    if (before) gradient.addColorStop(at, colour(before[1]));
    gradient.addColorStop(at, colour(name));
  });
  return gradient;
}

/** The indexes of values that no line leads to or from: they are drawn as points. An undefined value does not end a line. */
function lonely(values) {
  const known = values.map((value, i) => [value, i]).filter(([value]) => value !== undefined);
  const isGap = (at) => (known[at]?.[0] ?? null) === null;
  return known.filter((_entry, at) => !isGap(at) && isGap(at - 1) && isGap(at + 1)).map(([, index]) => index);
}

/** The options of uPlot for one series; `now()` is its present description, and `spec()` that of the chart. */
function optionsOf(UPlot, now, spec) {
  const { label, colour: name, colours, bars, share = 0.4, open, points = false, width = 2 } = now();
  const stroke = colours ? (uplot) => stretches(uplot, spec().x, now().colours) : colour(name);
  const value = (_u, _v, _s, index) => (typeof now().values[index ?? -1] === "number" ? spec().value(now().values[index], index) : "–");
  const drawn = { label, class: open ? "so-far" : undefined, stroke, width, value, points: { show: true, size: 6, width: 0, fill: stroke } };
  if (!points) drawn.points.filter = (uplot, index) => lonely(uplot.data[index]);
  if (bars !== undefined) {
    drawn.points = { show: false };
    drawn.fill = open ? hatching(name) : stroke;
    drawn.width = open ? 1 : 0;
    drawn.paths = UPlot.paths.bars({ size: [share, 60], align: bars });
  } else if (open) {
    drawn.dash = [5, 4];
    // the point of the bucket before is not open
    drawn.points = { show: true, size: 12, width: 2, stroke, fill: colour("card"), filter: () => now().open.flatMap((isOpen, i) => (isOpen ? [i] : [])) };
  }
  return drawn;
}

export const seriesOf = (UPlot, spec) => spec().series.map((_one, index) => optionsOf(UPlot, () => spec().series[index], spec));

/** The marker of a series in the legend, drawn as the series is. */
export function markers(spec) {
  const of = (index) => spec().series[index - 1];
  const stripes = (name) => `repeating-linear-gradient(135deg, ${colour(name)} 0 2px, transparent 2px 4px)`;
  return {
    dash: (_u, index) => (of(index).open && of(index).bars === undefined ? "dashed" : "solid"),
    stroke: (_u, index) => colour(of(index).colour),
    fill: (_u, index) => {
      const { bars, open, colour: name } = of(index);
      if (bars !== undefined && open) return stripes(name);
      return bars !== undefined ? colour(name) : "transparent";
    },
  };
}
