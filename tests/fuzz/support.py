"""What fuzz tests share: how many examples, and how code that waits asks the service that runs in this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings

PROOF = int(os.environ.get("PROOF_EXAMPLES", "0"))
"""Examples of each test that `make proof` asks for; 0 in `make test`, where there are few, and the same every time."""

T = TypeVar("T")


def fuzzing(examples: int) -> settings:
    """So many examples, or those of `make proof`."""
    return settings(
        max_examples=PROOF or examples,
        derandomize=not PROOF,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink] if PROOF else [Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def time_limit(examples: int) -> int:
    """Of a test, in seconds: it hangs, if it takes longer."""
    return max(120, PROOF or examples)


def assert_varied(seen: set[Any], expected: set[Any]) -> None:
    """What was sent led to all of that, or, as few as there are in `make test`, to two of it."""
    missing = expected - seen
    assert not missing if PROOF else len(expected & seen) >= 2, (missing, seen)


class Loop:
    """The loop the service runs in, for code in a thread beside it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What it returns; to be called from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


async def beside(check: Callable[[], None]) -> None:
    """Run what waits for the service in a thread, so that the service can answer."""
    await asyncio.to_thread(check)
