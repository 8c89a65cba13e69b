"""`python -m service.embedded`: install the dashboard's chart library, as a step of the set-up."""

from __future__ import annotations

import sys

from service.embedded.install import ensure_charts
from service.errors import StartupError


def main() -> None:
    """Install the chart library; an error is one line."""
    try:
        ensure_charts()
    except StartupError as error:
        print(f"the dashboard has tables and no charts: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
