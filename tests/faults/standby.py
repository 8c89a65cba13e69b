"""A standby of a test's server, made by `pg_basebackup`: it stalls, becomes synchronous, and is promoted."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.server import Server, programs

WAIT_S = 30.0


class Standby(Server):
    """A hot standby of `primary`, with a replication slot, so that it can catch up after a stall.

    Attributes:
        name: its application_name, and that of its slot.
    """

    def __init__(self, primary: Server, folder: Path, name: str = "standby") -> None:
        self.name = name
        self._primary = primary
        super().__init__(programs(), folder)
        self.options["cluster_name"] = name  # the standby's application_name on the primary

    def _make(self) -> None:
        source = ["-d", self._primary.url, "--create-slot", "--slot", self.name]
        self._run("pg_basebackup", *source, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")

    def make_synchronous(self, names: str = "") -> None:
        """Let the primary's commits wait for it, or for `names` of several; returns once it is synchronous."""
        self._set(self._primary.url, "synchronous_standby_names", names or f'"{self.name}"')
        self._wait(
            self._primary.url,
            "SELECT FROM pg_stat_replication WHERE application_name = %s AND sync_state IN ('sync', 'quorum')",
            self.name,
        )

    def stall(self) -> None:
        """Receive nothing any more; unlike `freeze`, nothing is left on the way for a later promotion."""
        self._set(self.url, "primary_conninfo", "")
        self._wait(self.url, "SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")

    def url_of(self, url: str) -> str:
        """The URL of the same database here."""
        return url.replace(f":{self._primary.port}/", f":{self.port}/")

    def go_on(self) -> None:
        """End a stall; returns once it has everything."""
        self._set(self.url, "primary_conninfo", f"host=127.0.0.1 port={self._primary.port} user=postgres")
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until it has replayed all that the primary has written."""
        with psycopg.connect(self._primary.url, autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        self._wait(self.url, "SELECT WHERE pg_last_wal_replay_lsn() >= %s::pg_lsn", *(row or ()))

    def promote(self) -> None:
        """Make a primary of it; returns once it takes writes, and waits for no standby."""
        self._set(self.url, "synchronous_standby_names", "")
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute("SELECT pg_promote(wait_seconds => 60)").fetchone()
            assert row == (True,), self.log()

    @staticmethod
    def _set(url: str, setting: str, value: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")

    @staticmethod
    def _wait(url: str, query: str, *parameters: Any) -> None:
        """Wait until the query returns a row."""
        deadline = time.monotonic() + WAIT_S
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute(query, parameters).fetchone() is None:
                assert time.monotonic() < deadline, query
                time.sleep(0.02)


@contextlib.contextmanager
def run_standby(primary: Server, name: str = "standby") -> Iterator[Standby]:
    """A running standby; when the block ends, it is gone, and the primary runs, waits for none and keeps no slot."""
    folder = Path(tempfile.mkdtemp(prefix="energy-standby-"))
    standby = None
    try:
        standby = Standby(primary, folder, name)
        standby.start()
        yield standby
    finally:
        if standby is not None:
            standby.kill()
        primary.thaw()
        if not primary.is_running:
            primary.start()
        Standby._set(primary.url, "synchronous_standby_names", "")
        Standby._wait(primary.url, "SELECT WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE active)")
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        shutil.rmtree(folder, ignore_errors=True)
