"""Memorized values: written to a store in the background, offered or applied when the hardware is first connected."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from devices.core.errors import reason

log = logging.getLogger("diptych")

#: Puts within this time go to the store together, s.
COALESCE = 0.2
#: The longest wait before a failed save is tried again, s.
LONGEST_RETRY = 30.0


class Store(Protocol):
    """Where memorized values live; both methods may block and are called in a thread."""

    def load(self) -> Mapping[str, str]:
        """Attribute names and JSON texts."""

    def save(self, values: Mapping[str, str]) -> None:
        """Keep these values beside those kept before; raises when it cannot."""


class Memory:
    """The memorized values of one device; a dead store delays a save, it never fails a put."""

    def __init__(self, device_name: str, store: Store | None) -> None:
        self._name = device_name
        self._store = store
        self._pending: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self.values: dict[str, Any] = {}

    async def load(self) -> None:
        """Read the store once; an unreadable value is reported and left out."""
        if self._store is None:
            return
        try:
            texts = await asyncio.get_running_loop().run_in_executor(None, self._store.load)
        except Exception as error:
            log.error("%s: memorized values cannot be read: %s: %s", self._name, reason(error), error)
            return
        for name, text in texts.items():
            try:
                # What was put while the store was being read is newer.
                self.values.setdefault(name, json.loads(text))
            except (ValueError, TypeError, RecursionError):
                log.error("%s: the memorized value of %s is not JSON: %r", self._name, name, text)

    def remember(self, name: str, value: Any) -> None:
        """Keep ``value``, as JSON holds it; returns at once."""
        self.values[name] = value
        if self._store is None:
            return
        self._pending[name] = json.dumps(value)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._save())

    async def close(self) -> None:
        """Save what is pending, once, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._pending and self._store is not None:
            try:
                await asyncio.wait_for(
                    asyncio.get_running_loop().run_in_executor(None, self._store.save, dict(self._pending)), 2.0
                )
            except Exception as error:
                lost = ", ".join(self._pending)
                log.error("%s: memorized values are lost (%s): %s: %s", self._name, lost, reason(error), error)

    async def _save(self) -> None:
        assert self._store is not None
        delay, failed = COALESCE, False
        while self._pending:
            await asyncio.sleep(delay)
            batch = dict(self._pending)
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._store.save, batch)
            except Exception as error:
                if not failed:
                    log.error("%s: memorized values wait for their store: %s: %s", self._name, reason(error), error)
                failed, delay = True, min(LONGEST_RETRY, max(1.0, delay * 2))
                continue
            if failed:
                log.info("%s: memorized values are stored again", self._name)
            failed, delay = False, COALESCE
            for name, text in batch.items():
                if self._pending.get(name) == text:
                    del self._pending[name]
