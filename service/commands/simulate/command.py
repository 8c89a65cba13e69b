"""`energy simulate`: options, and one run from the first request to the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import random
import re
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import IO, Any
from urllib.parse import urlsplit

import aiohttp
import click
import uvloop
from rich.console import Console

from service.commands.command import Command
from service.commands.options import TIME, json_option
from service.commands.output import make_console, print_json
from service.commands.simulate.alerts import Score, is_judged, score_alerts
from service.commands.simulate.check import Verdict, ask, expect, judge
from service.commands.simulate.drive import REQUEST_TIMEOUT_S, Driver, Pace
from service.commands.simulate.feed import Faults, feed
from service.commands.simulate.fleet import DAY_S, Fleet
from service.commands.simulate.tally import Tally
from service.commands.simulate.view import print_summary, show
from service.errors import StartupError

WATCHED = 8
"""Vehicles whose readings are kept for the check; half of them have a faulty charger, if there are enough."""
LOOKED_AT = 2000
"""Vehicles among which they are searched."""
OLDEST_DAYS = 725
"""The service keeps two years, and rejects older readings."""
SHARE = click.FloatRange(0, 1)


@dataclass(frozen=True)
class Plan:
    """A simulation run; the options have the meanings and units."""

    url: str
    vehicles: int
    prefix: str
    interval: int
    seed: int
    faulty: float
    faults: Faults
    batch: int
    concurrency: int
    pace: Pace
    end: float


def _url(context: click.Context, option: click.Parameter, text: str) -> str:
    try:
        parts = urlsplit(text)
        is_plain = parts.hostname and "@" not in parts.netloc and not (parts.path.strip("/") or parts.query)
        if parts.scheme in {"http", "https"} and is_plain and parts.port != 0:
            return text
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not like http://127.0.0.1:3000", context, option)


def _prefix(context: click.Context, option: click.Parameter, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{0,50}", text):
        raise click.BadParameter(f"{text!r} is not 0 to 50 of A-Z a-z 0-9 . _ : -", context, option)
    return text


@click.command(
    "simulate",
    cls=Command,
    examples=(
        "energy simulate",
        "energy simulate --days 1 --batch 500",
        "energy simulate --vehicles 50 --speed 600 --duration 60 --json",
    ),
    statuses={
        0: "the service did everything right, until the end or Ctrl-C",
        1: "no service answers; or a reading was lost, wrongly rejected or accepted; or a balance differs",
        130: "interrupted before the first reading",
    },
)
@click.option(
    "--url", default="http://127.0.0.1:3000", show_default=True, callback=_url, help="The service, scheme://host:port."
)
@click.option(
    "--vehicles", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Each with a meter."
)
@click.option("--prefix", default="", callback=_prefix, help="Ids are V<prefix>000000, M<prefix>000000 and so on.")
@click.option(
    "--interval", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds between readings."
)
@click.option("--duration", type=click.FloatRange(min=0), help="Seconds to run; without it, until Ctrl-C.")
@click.option(
    "--days",
    type=click.FloatRange(0, OLDEST_DAYS, min_open=True),
    help="First send this many days of history, as fast as possible; then stop, or continue for --duration.",
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 1_000_000),
    default=1.0,
    show_default=True,
    help="Simulated seconds per second, until real time is reached; the start is earlier accordingly.",
)
@click.option("--start", type=TIME, help="First simulated time, as 2026-02-08T18:00:00Z, or how long ago: 7d.")
@click.option("--batch", type=click.IntRange(1, 1000), default=1, show_default=True, help="Readings a request.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    help="Connections, and requests of history under way at once (64, with --batch 4).",
)
@click.option("--faulty", type=SHARE, default=0.05, show_default=True, help="Share of chargers below 85 %.")
@click.option("--late", type=SHARE, default=Faults.late, show_default=True, help="Share sent 10 to 60 intervals late.")
@click.option("--duplicates", type=SHARE, default=Faults.duplicates, show_default=True, help="Share sent twice.")
@click.option(
    "--out-of-order", type=SHARE, default=Faults.out_of_order, show_default=True, help="Share sent after the next one."
)
@click.option("--broken", type=SHARE, default=Faults.broken, show_default=True, help="Share the service has to reject.")
@click.option(
    "--sensors", type=SHARE, default=Faults.sensors, show_default=True, help="Share without a measure, or a false one."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed is the same fleet.")
@click.option("--samples", type=click.File("wb", lazy=False), help="Write every second's figures, NDJSON.")
@json_option
def simulate(samples: IO[bytes] | None, as_json: bool, **options: Any) -> None:
    """Send the telemetry of a fleet to a running service, and check the service's answers.

    Requests are sent when they are due, however long others take, and latency counts from then on. At
    the end, or at Ctrl-C, it compares the energy balances of some vehicles with the readings sent. After two
    simulated days or more it also compares the alerts of all vehicles with their faulty chargers.
    """
    plan = _plan(**options)
    tally, seconds, verdicts, score = uvloop.run(_run(plan, make_console(stderr=True), samples))
    if as_json:
        print_json(_result(tally, seconds, verdicts, score))
    else:
        print_summary(make_console(), tally, seconds, verdicts, score)
    counts = tally.counts
    wrong = counts.lost + counts.rejected_wrongly + counts.accepted_wrongly + counts.ignored_wrongly
    sys.exit(1 if wrong or any(verdict.word == "MISMATCH" for verdict in verdicts) else 0)


def _plan(  # noqa: PLR0913 - each is an option
    *,
    duration: float | None,
    days: float | None,
    speed: float,
    start: datetime | None,
    late: float,
    duplicates: float,
    out_of_order: float,
    broken: float,
    sensors: float,
    concurrency: int | None,
    batch: int,
    **options: Any,
) -> Plan:
    """Return the plan: start and end, and the other options.

    Raises:
        click.UsageError: options contradict each other; it names them.
    """
    if late + duplicates + out_of_order + broken + sensors > 1:
        raise click.UsageError("--late, --duplicates, --out-of-order, --broken and --sensors together are more than 1")
    if days and (start or speed > 1):
        raise click.UsageError("--days sets the start, and goes as fast as it can: it excludes --start and --speed")
    now = time.time()
    if days:
        begin, speed, end = now - days * DAY_S, math.inf, now + (duration or 0)
    else:
        deadline = math.inf if duration is None else now + duration
        span = DAY_S if duration is None else (speed - 1) * duration
        begin = start.timestamp() if start else now - (span if speed > 1 else 0)
        end = min(begin + speed * (deadline - now), deadline)
    ago = (now - begin) / DAY_S
    if not 0 <= ago <= OLDEST_DAYS:
        raise click.UsageError(f"it would start {ago:.3g} days ago: from 0 to {OLDEST_DAYS} is possible")
    faults = Faults(late=late, duplicates=duplicates, out_of_order=out_of_order, broken=broken, sensors=sensors)
    concurrency = concurrency or (64 if batch == 1 else 4)
    pace = Pace(now, int(begin), speed)
    return Plan(faults=faults, batch=batch, concurrency=concurrency, pace=pace, end=end, **options)


async def _run(
    plan: Plan, console: Console, samples: IO[bytes] | None
) -> tuple[Tally, float, list[Verdict], Score | None]:
    start = int(plan.pace.start)
    with console.status(f"making {plan.vehicles:,} vehicles"):
        fleet = Fleet(plan.vehicles, plan.seed, faulty=plan.faulty, start=start, interval=plan.interval)
    watched = _watched(fleet, plan)
    tally = Tally(watched, plan.end - DAY_S if math.isfinite(plan.end) else start)
    async with aiohttp.ClientSession(
        plan.url,
        connector=aiohttp.TCPConnector(limit=plan.concurrency),
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
    ) as session:
        try:
            earlier = {v: await ask(session, _id(plan, v), (start, start + 730 * DAY_S)) for v in watched}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise StartupError(f"no energy service answers at {plan.url} ({error}): start it, or give --url") from None
        gc.freeze()  # a collection of all present objects would delay requests
        pace = replace(plan.pace, began=time.time())  # the preparation took time, and must not count as lateness
        driver = Driver(session, tally, pace, batch=plan.batch, concurrency=plan.concurrency)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, driver.stopping.set)
        showing = asyncio.create_task(show(tally, lambda: driver.last_due, console, samples))
        await driver.run(feed(fleet, plan.faults, prefix=plan.prefix, end=plan.end))
        seconds = time.monotonic() - tally.began
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing
        stop = int(driver.last_due) + 1
        window = (max(start, stop - DAY_S), stop)
        verdicts = []
        for vehicle in watched:
            # SQL treats shorter intervals as a minute
            expected = expect(tally.accepted[vehicle], window, max(plan.interval, 60))
            reason = _why_not_comparable(tally, vehicle, earlier[vehicle])
            verdicts.append(await judge(session, _id(plan, vehicle), window, expected, reason))
        score = await _score(session, plan, fleet, driver.stopping) if is_judged(start, stop) else None
    return tally, seconds, verdicts, score


async def _score(session: aiohttp.ClientSession, plan: Plan, fleet: Fleet, stopping: asyncio.Event) -> Score:
    ids = {_id(plan, vehicle): fleet.is_faulty(vehicle) for vehicle in range(plan.vehicles)}
    expected = frozenset(("efficiency_low", id_) for id_, is_faulty in ids.items() if is_faulty)
    return await score_alerts(session, expected, ids.__contains__, stopping)


def _why_not_comparable(tally: Tally, vehicle: int, earlier: dict[str, Any]) -> str:
    if vehicle in tally.disputed:
        return "a reading of it conflicted with one that was there before, or was lost"
    if earlier["meterReadings"] or earlier["vehicleReadings"]:
        return "it had readings of this time before: --prefix makes another fleet"
    return ""


def _watched(fleet: Fleet, plan: Plan) -> list[int]:
    """Select vehicles with a faulty charger and without, in equal parts if possible."""
    looked_at = random.Random(plan.seed).sample(range(plan.vehicles), min(plan.vehicles, LOOKED_AT))
    faulty = [vehicle for vehicle in looked_at if fleet.is_faulty(vehicle)]
    healthy = [vehicle for vehicle in looked_at if not fleet.is_faulty(vehicle)]
    some = faulty[: max(WATCHED // 2, WATCHED - len(healthy))]
    return sorted(some + healthy[: WATCHED - len(some)])


def _id(plan: Plan, vehicle: int) -> str:
    return f"V{plan.prefix}{vehicle:06d}"


def _result(tally: Tally, seconds: float, verdicts: list[Verdict], score: Score | None) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 3),
        "counts": tally.counts,
        "rejected": tally.codes,
        "faults": tally.faults,
        **{f"p{p:g}_ms".replace(".", ""): tally.latencies.percentile(p) for p in (50, 99, 99.9)},
        "checked": [asdict(verdict) | {"verdict": verdict.word} for verdict in verdicts],
        "alerts": score and {"precision": score.precision, "recall": score.recall, "differences": list(score.words())},
    }
