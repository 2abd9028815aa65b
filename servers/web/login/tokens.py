"""Tokens of displays and scripts: ``NAME:TOKEN`` in each line of a file that only its owner may read."""

from __future__ import annotations

import hmac
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError
from servers.web.login.person import NAME
from servers.web.login.secret_file import lines_of_secrets

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{32,256}")


class Tokens:
    """Who has which token.

    Attributes:
        of: name -> token.
    """

    def __init__(self, of: Mapping[str, str]) -> None:
        self.of = dict(of)

    def owner(self, token: str) -> str | None:
        """Whose token it is; all of them are compared, each in a time that does not depend on what is the same."""
        given = token.encode("utf-8", "surrogatepass")
        found = None
        for name, known in self.of.items():
            if hmac.compare_digest(known.encode(), given):
                found = name
        return found


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file.

    Raises:
        ConfigurationError: with every faulty line; a token is never shown.
    """
    found: dict[str, str] = {}
    problems = []
    for number, line in lines_of_secrets(path, forbidden=stat.S_IRWXG | stat.S_IRWXO):
        name, _, token = line.partition(":")
        if not NAME.fullmatch(name):
            problems.append(f"line {number}: is not NAME:TOKEN; a name has letters, digits and _ . @ + -")
        elif not _TOKEN.fullmatch(token):
            problems.append(f"line {number}: a token has at least 32 characters; `diptych token NAME FILE` makes one")
        elif name in found or token in found.values():
            problems.append(f"line {number}: {name} or its token stands twice")
        else:
            found[name] = token
    if problems:
        raise ConfigurationError(str(path), problems)
    return Tokens(found)


def token_line(name: str) -> str:
    """A new line for the file.

    Raises:
        ConfigurationError: the name cannot be used.
    """
    if not NAME.fullmatch(name):
        raise ConfigurationError("token", ["a name has 1 to 64 letters, digits and _ . @ + -"])
    return f"{name}:{secrets.token_urlsafe(32)}"
