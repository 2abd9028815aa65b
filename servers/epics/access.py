"""Who may write which PV: a list of rules, each of which allows something; what no rule allows is refused.

A rule looks at the socket's peer address. Host and user that a Channel Access client sends are claims: a rule may ask
for them in addition (which narrows it), never instead.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import psutil

from devices.core.errors import ConfigurationError, NotAllowedError

THIS_HOST = "this-host"
LEVELS = ("operator", "expert")
Level = Literal["operator", "expert"]
INTERFACE_PERIOD = 10.0  # s; how long the list of this host's own addresses is believed


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the address of the socket's other end, and what the client says about itself."""

    protocol: str
    address: str
    port: int = 0
    claimed_host: str = ""
    claimed_user: str = ""

    @property
    def identity(self) -> str:
        """The same for all connections of a user of a computer, by both protocols."""
        return f"{self.claimed_user}@{self.address}"

    def __str__(self) -> str:
        claim = f" ({self.claimed_user}@{self.claimed_host})" if self.claimed_user or self.claimed_host else ""
        return f"{self.address}{claim}"


@dataclass(frozen=True)
class Rule:
    """One permission to write.

    Attributes:
        network: ``this-host`` or an address block such as ``10.1.2.0/24``; compared with the peer address.
        host, user: patterns over what the client claims.
        pv: a pattern over the PV name, ``*`` and ``?`` as in a shell.
        level: ``operator`` allows PVs of that level, ``expert`` all.
    """

    network: str = THIS_HOST
    host: str = "*"
    user: str = "*"
    pv: str = "*"
    level: Level = "expert"
    _pv: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pv", re.compile(fnmatch.translate(self.pv)))
        if self.level not in LEVELS:
            raise ConfigurationError("access rule", [f"level = {self.level!r} is not one of {', '.join(LEVELS)}"])
        if self.network != THIS_HOST:
            try:
                ipaddress.ip_network(self.network)
            except ValueError as error:
                raise ConfigurationError("access rule", [f"network = {self.network!r}: {error}"]) from None

    def allows(self, pv: str, level: str, client: Client) -> bool:
        return (
            (self.level == "expert" or level == "operator")
            and self._pv.match(pv) is not None
            and fnmatch.fnmatchcase(client.claimed_host, self.host)
            and fnmatch.fnmatchcase(client.claimed_user, self.user)
            and self._is_near(client.address)
        )

    def _is_near(self, address: str) -> bool:
        if self.network == THIS_HOST:
            return is_this_host(address)
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(self.network)
        except ValueError:
            return False


DEFAULT_RULES = (Rule(),)


class Access:
    """The rules in force. Replace them with ``rules = ...`` at any time."""

    def __init__(self, rules: Iterable[Rule] = DEFAULT_RULES) -> None:
        self.rules = tuple(rules)

    def allows(self, pv: str, level: str, client: Client) -> bool:
        return any(rule.allows(pv, level, client) for rule in self.rules)

    def demand(self, pv: str, level: str, client: Client) -> None:
        """Do nothing when the write is allowed.

        Raises:
            NotAllowedError: it is not.
        """
        if not self.allows(pv, level, client):
            raise NotAllowedError(f"{pv} (level {level}): no access rule lets {client} write it")


def rules_from(items: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of a decoded configuration file: objects with the keys network, host, user, pv, level.

    Raises:
        ConfigurationError: with every fault in all of them.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    keys = {"network", "host", "user", "pv", "level"}
    for number, item in enumerate(items):
        if not isinstance(item, Mapping):
            problems.append(f"rule {number}: not an object")
        elif wrong := [key for key, value in item.items() if key not in keys or not isinstance(value, str)]:
            problems.append(f"rule {number}: unknown key or no text: {', '.join(map(str, wrong))}")
        else:
            try:
                rules.append(Rule(**item))
            except ConfigurationError as error:
                problems += [f"rule {number}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigurationError("access rules", problems)
    return tuple(rules)


_own: tuple[float, frozenset[str]] = (0.0, frozenset())


def is_this_host(address: str) -> bool:
    """Whether a peer address is one of this machine's own."""
    try:
        if ipaddress.ip_address(address).is_loopback:
            return True
    except ValueError:
        return False
    global _own
    if not _own[1] or time.monotonic() - _own[0] > INTERFACE_PERIOD:
        addresses = (entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries)
        _own = (time.monotonic(), frozenset(addresses))
    return address in _own[1]
