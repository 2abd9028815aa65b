"""The gate: the one way by which a client's put reaches a record, whatever the protocol.

It checks the access rules, converts the value, hands the put to the record, and when it is over shows a refusal in the
record's ``:Error``, writes the audit and one log line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from devices.core.errors import DiptychError, NotAllowedError, reason
from servers.epics.access import Access, Client
from servers.epics.audit import Audit
from servers.epics.records import Put, PutHandler, Record

log = logging.getLogger(__name__)

REPEAT_PERIOD = 60.0  # s; the same refusal of the same PV is logged again after this


class Gate:
    """Where all puts go through.

    Attributes:
        puts, refused: counted since the start.
    """

    def __init__(self, access: Access, audit: Audit) -> None:
        self.access = access
        self.audit = audit
        self.puts = 0
        self.refused = 0
        self._last_log: dict[str, tuple[str, float]] = {}

    def may_write(self, record: Record, client: Client) -> bool:
        return record.handler is not None and self.access.allows(record.name, record.level, client)

    def put(self, record: Record, raw: Any, client: Client) -> Put:
        """Begin a put. Returns at once; nothing is raised, the put's futures have the outcome."""

        def run(put: Put) -> None:
            if record.handler is None:
                raise NotAllowedError(f"{record.name} is read-only")
            self.access.demand(record.name, record.level, client)
            put.value = record.convert(raw)
            record.handler(put)

        return self._pass(record, Put(raw, client.identity), client, run)

    def call(self, record: Record, arguments: Mapping[str, Any], client: Client) -> Put:
        """Begin a run of a command with arguments by name. As ``put``; the result comes with ``done``."""

        def run(put: Put) -> None:
            if record.call is None:
                raise NotAllowedError(f"{record.name} is not a command")
            self.access.demand(record.name, record.level, client)
            record.call(put)

        return self._pass(record, Put(dict(arguments), client.identity), client, run)

    def _pass(self, record: Record, put: Put, client: Client, run: PutHandler) -> Put:
        self.puts += 1
        old = record.reading.value
        put.accepted.add_done_callback(lambda _: self._begin(record, put, old, client))
        put.done.add_done_callback(lambda _: self._settle(record, put, old, client))
        try:
            run(put)
        except DiptychError as error:
            put.finish(error)
        return put

    def _begin(self, record: Record, put: Put, old: Any, client: Client) -> None:
        if put.accepted.exception() is None and not put.done.done():
            self._note(client, record, old, put, "started")

    def _note(self, client: Client, record: Record, old: Any, put: Put, what: str) -> None:
        if not record.reads_only:
            self.audit.write(client, record.name, old, put.value, what)

    def _settle(self, record: Record, put: Put, old: Any, client: Client) -> None:
        error = put.done.exception()
        if error is None:
            self._note(client, record, old, put, "done")
            if record.error is not None and record.error.reading.value:
                record.error.show("")
            return
        self.refused += 1
        text = f"{reason(error)}: {error}"
        self.audit.write(client, record.name, old, put.value, text)
        if record.error is not None:
            record.error.show(text)
        last, when = self._last_log.get(record.name, ("", 0.0))
        if text != last or time.monotonic() - when > REPEAT_PERIOD:
            self._last_log[record.name] = (text, time.monotonic())
            log.warning("put of %s by %s failed: %s", record.name, client, text)
