"""The file of people and their passwords, as ``htpasswd -B`` of Apache writes it: ``NAME:BCRYPT`` in each line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import bcrypt

from devices.core.errors import ConfigurationError
from servers.web.login.person import NAME
from servers.web.login.secret_file import lines_of_secrets

MAX_PASSWORD: Final = 72  # bytes; bcrypt looks at no more
COSTS: Final = range(10, 16)  # below: soon guessed from a stolen file; above: seconds for every login
MAKE: Final = "make the line anew with `diptych password NAME FILE` or `htpasswd -B -C 12 FILE NAME`"
_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_OTHERS: Final = {
    "$apr1$": "MD5 of Apache",
    "$1$": "MD5",
    "{SHA}": "SHA-1 without salt",
    "$5$": "crypt with SHA-256",
    "$6$": "crypt with SHA-512",
    "$argon2": "Argon2",
    "$2x$": "a faulty bcrypt",
}


class Users:
    """Names and hashes of passwords.

    Attributes:
        hashes: name -> bcrypt hash.
    """

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self.hashes = dict(hashes)
        cost = max((int(each[4:6]) for each in self.hashes.values()), default=COSTS.start)
        # Compared when there is nobody of a name, so that the answer comes as late as for a wrong password.
        self._nobody = bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost))

    def check(self, name: str, password: str) -> bool:
        """Whether this is the password; takes some tenths of a second, and as long for a name that nobody has."""
        given = password.encode("utf-8", "surrogatepass")
        is_possible = len(given) <= MAX_PASSWORD and b"\0" not in given
        known = self.hashes.get(name)
        is_same = bcrypt.checkpw(given if is_possible else b"", known or self._nobody)
        return is_same and is_possible and known is not None


def read_users(path: Path) -> Users:
    """The users of a file.

    Raises:
        ConfigurationError: with every faulty line; a hash is never shown.
    """
    hashes: dict[str, bytes] = {}
    problems = []
    for number, line in lines_of_secrets(path):
        name, colon, found = line.partition(":")
        problem = _problem(name, colon, found)
        if not problem and name in hashes:
            problem = f"{name} stands twice"
        if problem:
            problems.append(f"line {number}: {problem}")
        else:
            hashes[name] = found.encode()
    if problems:
        raise ConfigurationError(str(path), problems)
    return Users(hashes)


def hash_line(name: str, password: str) -> str:
    """The line of a person.

    Raises:
        ConfigurationError: the name or the password cannot be used.
    """
    given = password.encode()
    problems = [] if NAME.fullmatch(name) else ["a name has 1 to 64 letters, digits and _ . @ + -"]
    if not 8 <= len(given) <= MAX_PASSWORD or "\0" in password:
        problems.append(f"a password has 8 to {MAX_PASSWORD} bytes; this one has {len(given)}")
    if problems:
        raise ConfigurationError("password", problems)
    return f"{name}:{bcrypt.hashpw(given, bcrypt.gensalt(12)).decode()}"


def _problem(name: str, colon: str, found: str) -> str:
    if not colon:
        return "is not NAME:HASH"
    if not NAME.fullmatch(name):
        return "a name has 1 to 64 letters, digits and _ . @ + -"
    if is_bcrypt := _BCRYPT.fullmatch(found):
        cost = int(is_bcrypt[1])
        return "" if cost in COSTS else f"{name}: bcrypt of cost {cost}, not {COSTS[0]} to {COSTS[-1]}; {MAKE}"
    kind = next((kind for start, kind in _OTHERS.items() if found.startswith(start)), "no bcrypt hash")
    return f"{name}: {kind} is not taken here, only bcrypt; {MAKE}"
