// Links between the pages of a list. A cursor leads forwards only, so this tab remembers the page before each one that it opened.

import { h } from "./dom.js";

const KEY = "energy.pages.";

/** The links of a page at `address` with this cursor; `addressOf(cursor)` gives the address of another one. */
export function pageLinks(addressOf, cursor, next) {
  if (!cursor && !next) return "";
  const before = cursor && sessionStorage.getItem(KEY + addressOf(cursor));
  const following = next && addressOf(next);
  if (following) sessionStorage.setItem(KEY + following, cursor ?? "");
  return h("nav", { class: "pages", "aria-label": "Pages of the list" },
    cursor ? h("a", { href: addressOf("") }, "First page") : null,
    before ? h("a", { href: addressOf(before) }, "Previous page") : null,
    following ? h("a", { href: following }, "Next page") : null);
}
