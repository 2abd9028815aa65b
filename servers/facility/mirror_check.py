"""What is wrong with the mirrors of a Tango database, for `diptych doctor`: who serves what, and who stands in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import tango

from devices.core.errors import ConfigurationError
from servers.facility import mirror_shares

TIMEOUT_MILLISECONDS = 1000


def findings(database: tango.Database, tango_host: str) -> Iterator[str]:
    """One line for each finding.

    Raises:
        tango.DevFailed: the database does not answer.
    """
    try:
        mirrors = mirror_shares.of_database(database)
    except ConfigurationError as error:
        yield from error.problems
        return
    yield from mirror_shares.problems(mirrors)
    yield from mirror_shares.missing(mirrors)
    leases: dict[str, list[str]] = defaultdict(list)
    for mirror in mirrors:
        if mirror.lease:
            leases[mirror.lease].append(mirror.name)
    for lease, names in sorted(leases.items()):
        yield from _lease(lease, names, tango_host)


def _lease(lease: str, mirrors: list[str], tango_host: str) -> Iterator[str]:
    holders, silent, roles = set(), set(), []
    for mirror in mirrors:
        try:
            proxy = tango.DeviceProxy(f"tango://{tango_host}/{mirror}")
            proxy.set_timeout_millis(TIMEOUT_MILLISECONDS)
            read = {each.name: each.value for each in proxy.read_attributes(["role", "lease_holder", "silent_voters"])}
        except tango.DevFailed:
            yield f"lease {lease}: {mirror} does not answer, so it cannot stand in: start it"
            continue
        roles.append(read["role"])
        holders |= {read["lease_holder"]} - {"", None}
        silent |= set(read["silent_voters"] or ())
    if len(mirrors) == 1:
        yield f"lease {lease} has one mirror alone, {mirrors[0]}: nobody stands in for it"
    if roles and not holders:
        yield f"lease {lease}: nobody serves, since no mirror hears more than half of the voters"
    yield from (f"lease {lease}: voter {voter}" for voter in sorted(silent))
