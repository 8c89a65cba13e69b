"""Registers of a file: sent in place of the energy, for devices that are declared to send one.

A history that is exported has both. The SQL functions derive the energies of a declared device from its registers, as
they do for devices, and take the energies of the others as they are.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from service.commands.importer.mapping import ENERGIES
from service.database.connector import AnyConnection
from service.database.replication import replicated
from service.errors import StartupError
from service.readings.model import KINDS

PROFILE = "SELECT energy_kind, set_at FROM api.get_device_profile($1, $2)"
DECLARE = "SELECT api.set_device_profile($1, $2, 'register')"


class Registers:
    """The declared devices among those of a file, looked up once each."""

    def __init__(self, kind: str, *, declare: bool) -> None:
        """Begin with no device known.

        Args:
            kind: meter or vehicle.
            declare: declare the devices with registers that have no profile.
        """
        self._kind = kind
        self._declare = declare
        self._energy = [name for name in KINDS[kind].types if name != "timestamp"].index(ENERGIES[kind]) + 1
        self._declared: dict[str, bool] = {}

    async def resolve(self, connection: AnyConnection, records: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the records without the register at their end, which is the energy for a declared device.

        Raises:
            StartupError: a record has nothing but a register, and its device is not declared.
        """
        for device in {record[0] for record in records if record[-1] is not None} - self._declared.keys():
            self._declared[device] = await self._look_up(connection, device)
        return [self._resolved(record) for record in records]

    async def _look_up(self, connection: AnyConnection, device: str) -> bool:
        try:
            profile = await connection.fetchrow(PROFILE, self._kind, device)
        except asyncpg.PostgresError as error:
            if not str(error.sqlstate).startswith("IE"):
                raise
            profile = None  # an unknown device
        if profile and profile["energy_kind"] == "register":
            return True
        if not self._declare or (profile and profile["set_at"]):
            return False
        try:
            with replicated(connection):
                await connection.execute(DECLARE, self._kind, device)
        except asyncpg.PostgresError as error:
            if error.sqlstate != "IE004":  # an invalid id, for which its readings are rejected
                raise
        return True

    def _resolved(self, record: tuple[Any, ...]) -> tuple[Any, ...]:
        *values, register = record
        if register is not None and self._declared[record[0]]:
            values[self._energy] = register
        elif values[self._energy] is None:
            raise StartupError(
                f"{self._kind} {record[0]} has a running register: declare it first (energyKind register), "
                "or add --declare-registers"
            )
        return tuple(values)
