"""The key ``history`` of a facility file: whether its PVs are recorded, where, and for how long."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from devices.core.errors import BadValueError, ConfigurationError
from servers.facility.duration import bytes_of, seconds_of

PASSWORD_VARIABLE: Final = "DIPTYCH_HISTORY_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class HistorySettings:
    """How a facility is recorded.

    Attributes:
        database: ``postgresql://USER@HOST:PORT/NAME`` without a password; None for a file of the state directory.
        password_file: its first line is the password; None for the environment, or none at all.
        archive: the archive list; None for every number and enumeration at 1 Hz.
        keep_s: for how long samples are kept, s; None for the store's own bound.
        size_bytes: of the embedded file, and of what waits for a database that is away; None for their own bounds.
    """

    database: str | None = None
    password_file: Path | None = None
    archive: Path | None = None
    keep_s: float | None = None
    size_bytes: int | None = None

    def database_with_password(self) -> str:
        """What to connect with; never to be shown.

        Raises:
            ConfigurationError: the file of the password cannot be read.
        """
        password = os.environ.get(PASSWORD_VARIABLE, "")
        if self.password_file is not None:
            try:
                password = self.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
            except OSError as error:
                raise ConfigurationError(str(self.password_file), [f"cannot be read: {error.strerror}"]) from error
        parts = urlsplit(self.database or "")
        if not password:
            return urlunsplit(parts)
        user, at, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}{at}{host}"))


def history_settings(content: bool | Mapping[str, Any], folder: Path) -> tuple[HistorySettings | None, list[str]]:
    """What the key says, None for no history, and what is wrong with it; paths are relative to ``folder``."""
    if isinstance(content, bool):
        return (HistorySettings() if content else None), []
    problems = []

    def amount(key: str, read: Any) -> Any:
        try:
            return read(content[key]) if key in content else None
        except BadValueError as error:
            problems.append(f"history > {key}: {error}")
            return None

    def path(key: str) -> Path | None:
        if key not in content:
            return None
        found = Path(os.path.normpath(folder / content[key]))
        if not found.is_file():
            problems.append(f"history > {key}: there is no file {found}")
        return found

    database = content.get("database")
    # A wrong one is never shown: it may have a password all the same.
    if database is not None and not re.fullmatch(r"postgres(ql)?://\S+", database):
        problems.append("history > database: is not of the form postgresql://USER@HOST:PORT/NAME")
    elif database and (urlsplit(database).password or "password=" in database):
        problems.append(
            f"history > database: has a password; write it to a file of its own, password_file, or to the environment "
            f"variable {PASSWORD_VARIABLE}"
        )
    settings = HistorySettings(
        database=database,
        password_file=path("password_file"),
        archive=path("archive"),
        keep_s=amount("keep", seconds_of),
        size_bytes=amount("size", bytes_of),
    )
    return settings, problems
