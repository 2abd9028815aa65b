"""Follows the operations of one device to their ends.

The device is asked (``operation_status``) when an event says that something happened, and every second anyway. So
nobody waits for ever because an event, a server or the mirror was lost.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import tango

from devices.core.errors import DiptychError, NotConnectedError, ProtocolError, UnknownNameError
from servers.tango_server.failures import failure, is_refused

log = logging.getLogger(__name__)

ENDED = ("DONE", "FAILED", "ABORTED")
ASK_PERIOD = 1.0  # s between two questions without an event
SEVERAL_PERIOD = 0.2  # s; of several operations only the newest has events
ASK_PAUSE = 0.02  # s at least between two questions
PATIENCE = 10.0  # s that a device may be silent before its operations count as lost; it may only be busy
REFUSED_PATIENCE = 3.0  # s when connections to its server are refused: nobody is there

Hear = Callable[[Mapping[str, Any]], bool]
Lose = Callable[[DiptychError], None]


class Device(Protocol):
    name: str
    proxy: Any


@dataclass(frozen=True, slots=True)
class Ear:
    """Who wants to know of an operation: ``hear`` takes each status and says whether it was the end."""

    hear: Hear
    lose: Lose


class Follower:
    """Asks one device how its operations go. Its thread lives only while there are any.

    Args:
        adopt: takes the name and id of an operation that was noticed, whoever started it.
    """

    def __init__(self, device: Device, adopt: Callable[[str, str], None]) -> None:
        self._device, self._adopt = device, adopt
        self._ears: dict[str, Ear] = {}
        self._lock = threading.Lock()
        self._poke = threading.Event()
        self._thread: threading.Thread | None = None
        self._silent_since: float | None = None
        self._is_refused = False

    def follow(self, operation_id: str, hear: Hear, lose: Lose) -> None:
        """Tell ``hear`` each status of an operation until the last one, or ``lose`` why there will be none."""
        with self._lock:
            self._ears[operation_id] = Ear(hear, lose)
            if self._thread is None:
                name = f"epics-follow {self._device.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
        self._poke.set()

    def leave(self, operation_id: str) -> None:
        """Follow an operation no more."""
        with self._lock:
            self._ears.pop(operation_id, None)
        self._poke.set()

    def poke(self) -> None:
        """Something happened to the device's operations; in any thread."""
        self._poke.set()

    def notice(self, operation_id: str) -> None:
        """Have an operation adopted that the device began."""
        try:
            status = json.loads(self._device.proxy.command_inout("operation_status", operation_id))
            self._adopt(status["name"], operation_id)
        except (tango.DevFailed, ValueError, KeyError, TypeError) as error:
            log.debug("%s: operation %s: %s", self._device.name, operation_id, error)

    def notice_all(self) -> None:
        """Have adopted what runs already and, to show how it ended, the newest operation of each name."""
        try:
            oldest_first = list(reversed(json.loads(self._device.proxy.command_inout("operations"))))
            newest = {each["name"]: each["id"] for each in oldest_first}
            for each in oldest_first:
                if each["state"] not in ENDED or newest[each["name"]] == each["id"]:
                    self._adopt(each["name"], each["id"])
        except (tango.DevFailed, ValueError, KeyError, TypeError) as error:
            log.debug("%s: operations: %s", self._device.name, error)

    def join(self) -> None:
        """Wait for the thread after everything was left; a Tango call under way ends by its own timeout."""
        if (thread := self._thread) is not None:
            thread.join()

    def _run(self) -> None:
        self._silent_since = None
        with tango.EnsureOmniThread():
            while True:
                self._poke.clear()
                with self._lock:
                    ears = dict(self._ears)
                    if not ears:
                        self._thread = None
                        return
                for operation_id, ear in ears.items():
                    if self._has_ended(operation_id, ear):
                        self.leave(operation_id)
                if self._poke.wait(ASK_PERIOD if len(ears) == 1 else SEVERAL_PERIOD):
                    time.sleep(ASK_PAUSE)

    def _has_ended(self, operation_id: str, ear: Ear) -> bool:
        try:
            status = json.loads(self._device.proxy.command_inout("operation_status", operation_id))
            self._silent_since = None
            return ear.hear(status)
        except tango.DevFailed as failed:
            error = self._loss(operation_id, failed)
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            error = ProtocolError(f"operation_status({operation_id!r}) of {self._device.name}: {wrong}")
        if error is not None:
            ear.lose(error)
        return error is not None

    def _loss(self, operation_id: str, failed: Any) -> DiptychError | None:
        """Why an operation that cannot be asked for counts as lost; None while there is hope."""
        error, now = failure(failed), time.monotonic()
        if isinstance(error, UnknownNameError):
            self._silent_since = None
            return NotConnectedError(f"{operation_id}: lost in restart of {self._device.name}")
        if self._silent_since is None:
            self._silent_since, self._is_refused = now, False
        self._is_refused |= is_refused(failed)
        patience = REFUSED_PATIENCE if self._is_refused else PATIENCE
        if now - self._silent_since <= patience:
            return None
        return NotConnectedError(f"{operation_id}: no answer from {self._device.name} for {patience:g} s: {error}")
