"""The embedded Tango database: pytango-db on SQLite, as a process of its own.

``python -m servers.facility.database --port 10000 --state-dir var`` keeps ``tango.db`` in the state directory, in
write-ahead mode (a killed writer loses at most its last transaction), and looks at its integrity before each start.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError
from servers.facility import leash
from servers.facility.address import LOOPBACK, from_here, publish_options

FILE_NAME: Final = "tango.db"
INSTANCE: Final = "2"  # the name under which every Tango client knows the database: sys/database/2


def prepare(path: Path) -> str | None:
    """Make sure that there is a sound database file in write-ahead mode.

    Returns:
        One line when a damaged file was moved aside, so that an empty database starts.

    Raises:
        ConfigurationError: the file is of another version of pytango-db.
    """
    report = None
    if path.exists() and (damage := _damage(path)):
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}{suffix}", f"{aside}{suffix}")
        report = f"{path} is damaged ({damage}); it was moved to {aside.name} and an empty database starts"
    if not path.exists():
        _create(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        _check_version(path, connection)
    return report


def _damage(path: Path) -> str | None:
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            answer = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    if answer != "ok":
        return " ".join(answer.split())
    return None if tables else "it has no tables"


def _create(path: Path) -> None:
    from databaseds.db_access.sqlite3 import Sqlite3Database

    # A process killed while it makes the tables must not leave half of them under the real name.
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    Sqlite3Database(INSTANCE, db_name=str(draft)).close_db()
    os.replace(draft, path)


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    from databaseds.db_access.sqlite3 import SQLITE_SCHEMA_VERSION

    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SQLITE_SCHEMA_VERSION:
        raise ConfigurationError(
            str(path),
            [
                f"schema version {version}, but pytango-db needs {SQLITE_SCHEMA_VERSION}: run "
                f"pytango-db-migrate-sqlite, or move the file away"
            ],
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="The embedded Tango database")
    parser.add_argument("--bind", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    options = parser.parse_args()
    leash.attach()
    path = options.state_dir / FILE_NAME
    try:
        report = prepare(path)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    if report:
        print(report, file=sys.stderr, flush=True)
    # pytango-db takes its file from the environment only, and asks its own TANGO_HOST for a Starter.
    os.environ["PYTANGO_DATABASE_NAME"] = str(path)
    os.environ["TANGO_HOST"] = f"{from_here(options.bind)}:{options.port}"
    from databaseds import database

    database.main(["--host", options.bind, "--port", str(options.port), INSTANCE, *publish_options(options.bind)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
