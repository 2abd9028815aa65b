"""What people show to come in: users, tokens and the certificate, as their files say now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from devices.core.errors import ConfigurationError
from servers.facility.web_settings import WebSettings
from servers.web.login import tls
from servers.web.login.tokens import Tokens, read_tokens
from servers.web.login.users import Users, read_users

log = logging.getLogger(__name__)

Mark = tuple[int, int, int] | None


class Credentials:
    """Read at the start, and again when a file changes.

    Attributes:
        users, tokens: empty where there is no file.
        tls: what the server speaks TLS with; None where it does not.

    Raises:
        ConfigurationError: a file is faulty.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self.tls = tls.tls_context(settings)
        self.users, self.tokens = Users({}), Tokens({})
        self._marks = {path: _mark(path) for path in self._files}
        self._read_users()
        self._read_tokens()

    async def refresh(self) -> bool:
        """Read what has changed; whether anything has. A file that became faulty changes nothing."""
        adopted = False
        for path, read in self._files.items():
            if (mark := _mark(path)) == self._marks[path]:
                continue
            self._marks[path] = mark
            try:
                await asyncio.to_thread(read)
            except ConfigurationError as error:
                log.error("%s has changed and cannot be used; what it said before holds: %s", path, error)
            else:
                log.info("%s is read again", path)
                adopted = True
        return adopted

    def holds(self, credential: object) -> bool:
        """Whether a session that rests on this may last; None rests on nothing of ours."""
        return credential in {None, *self.users.hashes.values(), *self.tokens.of.values()}

    @property
    def _files(self) -> dict[Path, Callable[[], None]]:
        settings = self._settings
        reads = (
            (settings.users, self._read_users),
            (settings.tokens, self._read_tokens),
            (settings.certificate, self._load_certificate),
            (settings.key, self._load_certificate),
        )
        return {path: read for path, read in reads if path is not None}

    def _read_users(self) -> None:
        if self._settings.users is not None:
            self.users = read_users(self._settings.users)

    def _read_tokens(self) -> None:
        if self._settings.tokens is not None:
            self.tokens = read_tokens(self._settings.tokens)

    def _load_certificate(self) -> None:
        if self.tls is not None:
            tls.load(self.tls, self._settings)


def faults(settings: WebSettings) -> list[str]:
    """What is wrong with the files of users, tokens and TLS, all of it."""
    checks: list[Callable[[], object]] = [lambda: tls.tls_context(settings)]
    if (users := settings.users) is not None:
        checks.append(lambda: read_users(users))
    if (tokens := settings.tokens) is not None:
        checks.append(lambda: read_tokens(tokens))
    found = []
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            found += [f"{error.subject}: {problem}" for problem in error.problems]
    return found


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
