"""Finds the system's Chromium: browsers that npm or Playwright would bring are not used."""

from __future__ import annotations

import shutil


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome of this machine; None without any."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)
