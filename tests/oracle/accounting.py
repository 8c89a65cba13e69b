"""From what a device sent to energy: which readings are plausible, and how a register is told apart into energies."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fractions import Fraction

from tests.oracle.records import Exchange, HistoryRow, Profile, Reading

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


def register_energies(
    sent: Sequence[float | Exchange], register_max: float | None
) -> tuple[list[float], list[float | None]]:
    """The energy that each value of a running register stands for, given all of them in order of time.

    A fall by more than a tenth is undecided until the register rises: then it was a reset (or a rollover), unless it is
    at nine tenths of the old level or more, which makes glitches of all that came since. The last value of a replaced
    register means what a reading would; its energy goes to the next reading.

    Args:
        sent: The values sent, with the exchanges between them.
        register_max: Where the register starts again from zero, if that is known.

    Returns:
        The energies of the values, and what is of replaced registers in them (None where none was replaced).
    """
    energies: list[float] = []
    exchanged: list[float | None] = []
    level: float | None = None
    old_level: float | None = None
    fell_at = 0
    waiting: float | None = None
    last_reading = max((n for n, value in enumerate(sent) if not isinstance(value, Exchange)), default=-1)
    for value in sent[: last_reading + 1]:  # an exchange without a reading after it means nothing yet
        register = value.last_register if isinstance(value, Exchange) else value
        number = len(energies)
        energy = 0.0
        if level is None:
            level = register
        elif old_level is not None and register >= 0.9 * old_level:
            energies[fell_at:] = [0.0] * (number - fell_at)
            energy = max(0.0, register - old_level)
            level, old_level = max(register, old_level), None
        elif register >= level:
            energy = register - level
            if register > level:
                old_level = None
            level = register
        elif register < 0.9 * level:
            is_rollover = register_max is not None and (
                0.9 * register_max <= level <= register_max and register <= 0.1 * register_max
            )
            energy = register_max - level + register if is_rollover and register_max else register
            if old_level is None:
                old_level, fell_at = level, number
            level = register
        if isinstance(value, Exchange):
            waiting = energy + (waiting or 0.0)
            level, old_level = value.first_register, None
        else:
            energies.append(energy)
            exchanged.append(waiting)
            waiting = None
    return [energy + (part or 0.0) for energy, part in zip(energies, exchanged, strict=True)], exchanged


def history_of(readings: Iterable[Reading], profile: Profile, exchanges: Iterable[Exchange] = ()) -> list[HistoryRow]:
    """The rows of one device in order of time, whatever order they and its exchanges arrived in."""
    ordered = sorted(readings, key=lambda reading: reading.recorded_at)
    energies, exchanged = [reading.kwh for reading in ordered], [None] * len(ordered)
    is_register = profile.energy_kind == "register"
    if is_register:
        events = [(reading.recorded_at, 0, reading.kwh) for reading in ordered]
        events += [(exchange.exchanged_at, 1, exchange) for exchange in exchanges]
        in_order = [value for *_, value in sorted(events, key=lambda event: event[:2])]
        energies, exchanged = register_energies(in_order, profile.register_max)
    return [
        HistoryRow(
            reading.recorded_at,
            energy,
            reading.kwh if is_register else None,
            exchanged=part,
            voltage=reading.voltage,
            soc=reading.soc,
            battery_temp=reading.battery_temp,
        )
        for reading, energy, part in zip(ordered, energies, exchanged, strict=True)
    ]
