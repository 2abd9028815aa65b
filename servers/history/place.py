"""Where the history of a facility is: the embedded file of its state directory, or a database that its file names."""

from __future__ import annotations

from pathlib import Path

from devices.core.errors import ConfigurationError
from servers.facility.facility_file import Facility
from servers.facility.history_settings import HistorySettings
from servers.history.backlog import Backlog, MemoryBacklog
from servers.history.state import FILE_NAME, State
from servers.history.store import History, Store


def settings_of(facility: Facility) -> HistorySettings:
    """The settings of a facility that has a history.

    Raises:
        ConfigurationError: it has none.
    """
    if facility.history is None:
        problem = f"{facility.path.with_suffix('.facility.yaml').name} does not ask for a history; add `history: true`"
        raise ConfigurationError(facility.path.name, [problem])
    return facility.history


def open_history(facility: Facility) -> History:
    """The history of a facility, to be read; in any process of the user, also when nothing runs.

    Raises:
        ConfigurationError: the facility has none.
        StoreAwayError: there is nothing yet, or the database does not answer.
    """
    settings = settings_of(facility)
    if settings.database:
        from servers.history.postgres_history import PostgresHistory

        return PostgresHistory(settings.database_with_password(), facility.name)
    from servers.history.sqlite_history import SqliteHistory

    return SqliteHistory(embedded_file(facility))


def open_store(facility: Facility) -> Store:
    """The history of a facility, to be written by its one recorder.

    Raises:
        ConfigurationError: the facility has none; or the embedded file is of another version.
        StoreAwayError: it cannot be opened now.
    """
    settings = settings_of(facility)
    if settings.database:
        from servers.history.postgres_store import PostgresStore

        return PostgresStore(settings.database_with_password(), facility.name, keep_s=settings.keep_s)
    from servers.history.sqlite_store import KEEP_S, SIZE_BYTES, SqliteStore

    return SqliteStore(
        embedded_file(facility), keep_s=settings.keep_s or KEEP_S, size_bytes=settings.size_bytes or SIZE_BYTES
    )


def backlog_of(facility: Facility) -> Backlog:
    """Where samples wait while the store takes none: files for a database, memory for the embedded one."""
    settings = settings_of(facility)
    if not settings.database:
        return MemoryBacklog()
    from servers.history.spool import SIZE_BYTES, Spool

    return Spool(folder_of(facility) / "spool", settings.size_bytes or SIZE_BYTES)


def state_of(facility: Facility) -> State | None:
    """How the recording goes, None when it never did."""
    return State.read(state_file(facility))


def state_file(facility: Facility) -> Path:
    return folder_of(facility) / FILE_NAME


def embedded_file(facility: Facility) -> Path:
    return folder_of(facility) / "history.sqlite"


def folder_of(facility: Facility) -> Path:
    return facility.state_dir / "history"
