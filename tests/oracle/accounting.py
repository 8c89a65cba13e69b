"""From what a device sent to energy: which readings are plausible, and how a register is told apart into energies."""

from collections.abc import Iterable, Sequence
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


def register_energies(registers: Sequence[float], register_max: float | None) -> list[float]:
    """The energy that each value of a running register stands for, given all of them in order of time.

    A fall by more than a tenth is undecided until the register rises: then it was a reset (or a rollover), unless it is
    at nine tenths of the old level or more, which makes glitches of all that came since.

    Args:
        registers: The values sent.
        register_max: Where the register starts again from zero, if that is known.
    """
    energies: list[float] = []
    level: float | None = None
    old_level: float | None = None
    fell_at = 0
    for number, register in enumerate(registers):
        if level is None:
            energies.append(0.0)
            level = register
        elif old_level is not None and register >= 0.9 * old_level:
            energies[fell_at:] = [0.0] * (number - fell_at)
            energies.append(max(0.0, register - old_level))
            level, old_level = max(register, old_level), None
        elif register >= level:
            energies.append(register - level)
            if register > level:
                old_level = None
            level = register
        elif register >= 0.9 * level:
            energies.append(0.0)
        else:
            is_rollover = register_max is not None and (
                0.9 * register_max <= level <= register_max and register <= 0.1 * register_max
            )
            energies.append(register_max - level + register if is_rollover and register_max else register)
            if old_level is None:
                old_level, fell_at = level, number
            level = register
    return energies


def history_of(readings: Iterable[Reading], profile: Profile) -> list[HistoryRow]:
    """The rows of one device in order of time, whatever order they arrived in."""
    ordered = sorted(readings, key=lambda reading: reading.recorded_at)
    sent = [reading.kwh for reading in ordered]
    is_register = profile.energy_kind == "register"
    energies = register_energies(sent, profile.register_max) if is_register else sent
    return [
        HistoryRow(
            reading.recorded_at,
            energy,
            reading.kwh if is_register else None,
            voltage=reading.voltage,
            soc=reading.soc,
            battery_temp=reading.battery_temp,
        )
        for reading, energy in zip(ordered, energies, strict=True)
    ]
