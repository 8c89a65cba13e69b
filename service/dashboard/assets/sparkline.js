// A small line without axes; its words say what it shows.

import { svg } from "./dom.js";

const [WIDTH, HEIGHT, EDGE] = [120, 28, 2];

/**
 * A line through these points: `x` and `y` are shares of the width and height, and the points from `openFrom` on are dashed,
 * with the one before them.
 */
export function sparkline(points, text, { status = null, openFrom = points.length } = {}) {
  const place = (share, length) => (EDGE + share * (length - 2 * EDGE)).toFixed(1);
  const line = (some, name) => svg("polyline", { class: name, points: some.map(({ x, y }) => `${place(x, WIDTH)},${place(1 - y, HEIGHT)}`).join(" ") });
  return svg("svg", { class: "spark", "data-status": status, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": text },
    svg("title", null, text),
    line(points.slice(0, openFrom)),
    openFrom < points.length ? line(points.slice(openFrom - 1), "open") : null);
}
