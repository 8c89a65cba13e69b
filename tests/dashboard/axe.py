"""axe-core (https://github.com/dequelabs/axe-core) in a page: the rules of accessibility that it breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

from service.embedded.install import ensure_packages

HERE = Path(__file__).parent
SCRIPT = HERE / "node_modules/axe-core/axe.min.js"
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that depend on colours."""

RUN = """async (rules) => {
  const chosen = rules && { runOnly: { type: "rule", values: rules } };
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false, ...chosen });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}"""


def ensure_axe() -> None:
    """Install axe-core, in the version of the lock file here."""
    ensure_packages(HERE, "axe-core for the tests")


async def broken_rules(page: Page, rules: list[str] | None = None) -> list[str]:
    """Each rule that an element of the page breaks, and the element; of `rules`, else of all that axe has."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(SCRIPT.read_text())
    found: list[Any] = await page.evaluate(RUN, rules)
    return found
