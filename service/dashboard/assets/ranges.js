// The four lengths of time of a device's page, and in which buckets each is drawn.

import { h } from "./dom.js";

const DAY_S = 86_400;

export const RANGES = {
  "24h": { name: "24 hours", hours: 24, resolution: "15min", bucketS: 900 },
  "7d": { name: "7 days", hours: 168, resolution: "hourly", bucketS: 3600 },
  "30d": { name: "30 days", hours: 720, resolution: "daily", bucketS: DAY_S },
  "1y": { name: "A year", hours: 8760, resolution: "daily", bucketS: DAY_S },
};

export const rangeOf = (query) => (Object.hasOwn(RANGES, query.get("range") ?? "") ? query.get("range") : "24h");

export function rangeLinks(base, chosen) {
  return h("nav", { class: "ranges", "aria-label": "Length of time" }, Object.entries(RANGES).map(([key, range]) =>
    h("a", { href: `${base}?range=${key}`, "aria-current": key === chosen ? "true" : null }, range.name)));
}
