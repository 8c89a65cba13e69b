"""View of a run: a live table on a terminal, else a line every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import IO

import msgspec
from rich.console import Console
from rich.live import Live

from service.commands.output import make_table
from service.commands.simulate.alerts import Score
from service.commands.simulate.check import Verdict
from service.commands.simulate.tally import Sample, Tally

LINE_EVERY = 5
"""Samples between two lines without a terminal."""


async def show(tally: Tally, reached: Callable[[], float], console: Console, samples: IO[bytes] | None) -> None:
    """Show a run every second until cancelled.

    `reached` returns the simulated time; `samples` is written as NDJSON.
    """
    last = tally.sample()
    number = 0
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    try:
        if live:
            live.start()
        while True:
            await asyncio.sleep(1)
            sample = tally.sample()
            number += 1
            if samples:
                samples.write(msgspec.json.encode(sample) + b"\n")
            if live:
                live.update(_figures(tally, sample, last, reached()), refresh=True)
            elif number % LINE_EVERY == 0:
                console.print(_line(sample, last), soft_wrap=True)
            last = sample
    finally:
        if live:
            live.stop()


def print_summary(
    console: Console, tally: Tally, seconds: float, verdicts: Sequence[Verdict], score: Score | None
) -> None:
    """Print the summary of the run."""
    counts = tally.counts
    latencies = "  ".join(f"p{p:g} {_ms(tally.latencies.percentile(p))}" for p in (50, 99, 99.9))
    facts = {
        "sent": f"{counts.sent:,} readings in {counts.requests:,} requests, {counts.sent / seconds:,.0f} readings/s",
        "stored": f"{counts.stored:,}, {counts.duplicates:,} duplicates, {counts.conflicts:,} conflicts",
        "rejected": f"{counts.rejected:,}, of {counts.broken:,} broken ones" + _listed(tally.codes),
        "ignored": f"a measure of {counts.ignored:,} readings",
        "latency": latencies,
    }
    if tally.faults:
        facts["retried"] = f"{counts.retries:,} requests" + _listed(tally.faults)
    for name, what, text in (
        ("LOST", counts.lost, "readings got no answer in a minute of attempts"),
        ("WRONG", counts.rejected_wrongly, "whole readings were rejected"),
        ("WRONG", counts.accepted_wrongly, "broken readings were accepted"),
        ("WRONG", counts.ignored_wrongly, "readings lost a valid measure, or kept an impossible one"),
    ):
        if what:
            facts[name] = f"{what:,} {text}"
    for name, fact in facts.items():
        console.print(f"{name:<10}{fact}", soft_wrap=True)
    names = ("vehicle", "AC kWh", "DC kWh", "efficiency", "", "battery °C", "readings", "check")
    console.print(make_table(names, map(_checked, verdicts)), soft_wrap=True)
    for verdict in verdicts:
        if verdict.differences:
            why = verdict.not_comparable or "; ".join(verdict.differences)
            console.print(f"{verdict.word}: {verdict.vehicle_id}: {why}", soft_wrap=True)
    if score:
        console.print(
            f"{'alerts':<10}precision {score.precision:.4g}, recall {score.recall:.4g}: "
            f"{len(score.found)} of {len(score.expected)} faulty chargers",
            soft_wrap=True,
        )
        for words in score.words():
            console.print(words, soft_wrap=True)


def _checked(verdict: Verdict) -> tuple[str, ...]:
    answer = verdict.answered
    return (
        verdict.vehicle_id,
        *(_number(answer[name]) for name in ("totalEnergyConsumedAc", "totalEnergyDeliveredDc", "efficiencyRatio")),
        answer["efficiencyStatus"],
        _number(answer["avgBatteryTemp"]),
        f"{answer['meterReadings']} + {answer['vehicleReadings']}",
        verdict.word,
    )


def _figures(tally: Tally, sample: Sample, last: Sample, reached: float) -> str:
    counts = sample.counts
    elapsed = sample.seconds - last.seconds
    facts = {
        "simulated": f"{_utc(reached)}, {sample.behind_s:.2f} s behind, {counts.in_flight:,} requests under way",
        "sent": f"{counts.sent:,} readings, {(counts.sent - last.counts.sent) / elapsed:,.0f}/s",
        "requests": f"{counts.requests:,}, {(counts.requests - last.counts.requests) / elapsed:,.0f}/s",
        "stored": f"{counts.stored:,}",
        "duplicates": f"{counts.duplicates:,}",
        "conflicts": f"{counts.conflicts:,}",
        "rejected": f"{counts.rejected:,}{_listed(tally.codes)}",
        "retries": f"{counts.retries:,}{_listed(tally.faults)}",
        "latency": f"p50 {_ms(sample.p50_ms)}  p99 {_ms(sample.p99_ms)}",
    }
    return "\n".join(f"{name:<12}{fact}" for name, fact in facts.items())


def _line(sample: Sample, last: Sample) -> str:
    counts = sample.counts
    rate = (counts.sent - last.counts.sent) / (sample.seconds - last.seconds)
    return (
        f"{sample.seconds:>6.0f} s  {counts.sent:,} sent ({rate:,.0f}/s)  {counts.stored:,} stored  "
        f"{counts.duplicates:,} duplicates  {counts.conflicts:,} conflicts  {counts.rejected:,} rejected  "
        f"{counts.retries:,} retries  p50 {_ms(sample.p50_ms)}  p99 {_ms(sample.p99_ms)}  "
        f"{sample.behind_s:.2f} s behind"
    )


def _listed(counter: dict[str, int]) -> str:
    found = ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items(), key=lambda pair: -pair[1]))
    return f": {found}" if found else ""


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _utc(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
