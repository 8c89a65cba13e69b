// Columns of tables about devices and their buckets, for createTable and the CSV.

import { h } from "./dom.js";
import * as format from "./format.js";
import { badge } from "./status.js";

/** The columns that name a bucket: its start, and whether it is not over. The zone is that of the page. */
export const whenColumns = (name) => [
  {
    name: () => `${name}, ${format.zoneName()}`, csv: "bucket", kind: "text", value: (r) => r.bucket,
    show: (r) => [format.dateTime(new Date(r.bucket)), r.isOpen ? h("span", { class: "badge open" }, "so far") : ""],
  },
  { csv: "isOpen", value: (r) => r.isOpen },
];

/** A column of times; `open` is said where there is none. */
export const timeColumn = (name, csv, open = "–") => ({
  name: () => `${name}, ${format.zoneName()}`, csv, kind: "text", value: (r) => r[csv], show: (r) => (r[csv] ? format.dateTime(new Date(r[csv])) : open),
});

export const column = (name, csv, decimals) => ({ name, csv, value: (r) => r[csv], show: (r) => format.number(r[csv], decimals) });
export const textColumn = (name, csv) => ({ name, csv, kind: "text", value: (r) => r[csv], show: (r) => r[csv] ?? "–" });
export const ratioColumn = { name: "Efficiency", csv: "efficiencyRatio", value: (r) => r.efficiencyRatio, show: (r) => format.percent(r.efficiencyRatio) };
export const statusColumn = { name: "Status", csv: "efficiencyStatus", kind: "text", value: (r) => r.efficiencyStatus, show: (r) => badge(r.efficiencyStatus) };

/** A link to the page of a device; the pages of devices keep the range of the one that shows it (keepRange). */
export const deviceLink = (kind, id, text = id) => h("a", { class: "device", href: devicePath(kind, id) }, text);
export const devicePath = (kind, id) => `#/${kind}/${encodeURIComponent(id)}`;
export const deviceColumn = (name, kind, csv) => ({ name, csv, kind: "text", value: (r) => r[csv], show: (r) => deviceLink(kind, r[csv]) });
