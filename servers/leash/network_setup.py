"""The making of a network file: questions, new secrets, keys."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from servers.leash.curve_keys import make_keys
from servers.leash.endpoint import Endpoint
from servers.leash.network_file import NAME, NetworkEntry, network_file, read_network, write_network

SERVER_PORT: Final = 9723
FEEDER_PORT: Final = 9823
SECRET_BYTES: Final = 32


def set_up(
    path: Path | None,
    ask: Callable[..., Any],
    *,
    is_new: bool,
    name: str | None,
    server: str | None,
    feeder: str | None,
    new_secret: bool,
    curve: str | None,
) -> Iterator[str]:
    """Add or change an entry; yields what was done.

    Args:
        path: the network file; by default that of the home folder.
        ask: asks a person for what was not given, ``ask(text, default=...)``.
        is_new: whether all entries of before are dropped.
        name: of the entry; by default the first that is free.
        server, feeder: URLs; what is not given is asked for.
        new_secret: whether an entry that is there gets another secret.
        curve: URL of an encrypted server, for which keys are made.

    Raises:
        BadValueError: a URL is none. ConfigurationError: the present file is faulty.
    """
    source = path or network_file()
    entries = list(read_network(source)) if source.exists() and not is_new else []
    name = name or _free_name(entries)
    place = _place(entries, name)
    # Queues of one host need ports of their own.
    at_server, at_feeder = (
        (entries[place].server, entries[place].feeder)
        if place is not None
        else (Endpoint("127.0.0.1", port + len(entries)) for port in (SERVER_PORT, FEEDER_PORT))
    )
    changed = NetworkEntry(
        Endpoint.parse(server or ask("Server", default=str(at_server))),
        Endpoint.parse(feeder or ask("Feeder", default=str(at_feeder))),
        entries[place].secret if place is not None and not new_secret else secrets.token_hex(SECRET_BYTES),
        name,
    )
    encrypted = Endpoint.parse(curve) if curve else None
    if place is None:
        entries.append(changed)
    else:
        entries[place] = changed
    target = path or source.with_name(NAME)  # programs of old read this name only
    write_network(target, entries)
    yield f"{target}: {name} is entry {entries.index(changed)} of {len(entries)}; copy the file to the hosts of clients"
    if encrypted is not None:
        ours, theirs = make_keys(name, encrypted, target)
        yield f"{ours}: for the server alone"
        yield f"{theirs}: copy it to the hosts of clients, to {theirs.parent.name} beside their network file"


def _place(entries: list[NetworkEntry], name: str) -> int | None:
    return next((place for place, entry in enumerate(entries) if entry.name == name), None)


def _free_name(entries: list[NetworkEntry]) -> str:
    return next(name for number in itertools.count(1) if _place(entries, name := f"Queue{number}") is None)
