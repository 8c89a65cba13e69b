"""From what a device sent to energy: which readings are plausible, and how a register is told apart into energies."""

from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction

from tests.oracle.records import HistoryRow, Profile, Reading

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def observed_after(observed: timedelta | None, gaps: Iterable[timedelta | None]) -> timedelta | None:
    """The observed interval of a device after its newest reading.

    Args:
        observed: What was observed before, None for nothing.
        gaps: The times to its newest reading before, and to the one before it in its batch; None where there is none.
    """
    known = [gap for gap in gaps if gap is not None]
    if not known:
        return None
    # A shorter gap is believed at once, a longer one lengthens the interval by a quarter at most.
    limit = [] if observed is None else [observed * 1.25]
    return max(MINUTE, min(known + limit))


def is_implausible(kwh: float, profile: Profile, interval: timedelta) -> bool:
    """Whether an interval's energy is more than twice what the device can deliver in the time it stands for."""
    if profile.energy_kind != "interval" or profile.max_kw is None:
        return False
    # Exact, so that the limit itself is never lost to the rounding of 60 s / 3600 s.
    hours = Fraction(interval // timedelta.resolution, HOUR // timedelta.resolution)
    return Fraction(kwh) > 2 * Fraction(profile.max_kw) * hours


def register_step(baseline: float | None, register: float, register_max: float | None) -> tuple[float, float]:
    """The energy which a register's next value stands for, and the baseline after it.

    Args:
        baseline: What the register is compared with, None before its first value.
        register: The value sent.
        register_max: Where the register starts again from zero, if that is known.
    """
    if baseline is None:
        return 0.0, register
    if register >= baseline:
        return register - baseline, register
    if register < 0.9 * baseline:
        if register_max is not None and baseline <= register_max and register <= register_max:
            return register_max - baseline + register, register
        return register, register
    return 0.0, baseline


def history_of(readings: Iterable[Reading], profile: Profile) -> list[HistoryRow]:
    """The rows of one device in order of time, whatever order they arrived in."""
    rows = []
    baseline: float | None = None
    for reading in sorted(readings, key=lambda reading: reading.recorded_at):
        energy, register = reading.kwh, None
        if profile.energy_kind == "register":
            register = reading.kwh
            energy, baseline = register_step(baseline, register, profile.register_max)
        rows.append(
            HistoryRow(
                reading.recorded_at,
                energy,
                register,
                voltage=reading.voltage,
                soc=reading.soc,
                battery_temp=reading.battery_temp,
            )
        )
    return rows
