"""A shutter of DCSS: any neighbour with two states, or none at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from devices.core import Reading
from devices.core.errors import NotConnectedError, reason
from devices.dcss.bridge_member import Member, Surroundings
from devices.dcss.handler import Message

OPEN_WORDS = frozenset({"open", "on", "true", "1", "yes", "opened", "extracted"})


class Shutter(Member):
    """Opens and closes, and tells each change, whoever made it.

    Args:
        put: takes one of two values; None: nothing stands behind it, as behind a shutter that only triggers a camera.
        state: tells which it is; None: the same address.
        open, closed: what these take and say.
    """

    kind: ClassVar[str] = "shutter"

    def __init__(
        self,
        name: str,
        around: Surroundings,
        put: str | None = None,
        state: str | None = None,
        open: Any = True,
        closed: Any = False,
    ) -> None:
        super().__init__(name, around)
        self._put, self._state = put, state or put
        self._values = {True: open, False: closed}
        self._is_open: bool | None = None if self._state else False
        self._labels: tuple[str, ...] = ()
        self._reports = 0
        around.shutters[name] = self.set

    def begin(self) -> None:
        if self._state is not None:
            self.watch(self._state, self._changed)
            if isinstance(self._values[True], str):
                self.spawn(self._learn(), "facts")

    def registered(self, message: Message) -> None:
        super().registered(message)
        self._report()

    def take(self, message: Message) -> None:
        words = message.words[1:]
        if message.command == "stoh_set_shutter_state" and words:
            self.spawn(self._obey(words[0] == "open"), "set")
        elif message.command != "stoh_configure_shutter":
            raise self.refuse(message)

    async def set(self, is_open: bool) -> None:
        """Open or close it, and report it when it is."""
        told = self._reports
        if self._put is not None:
            await self.around.neighbours.put(self._put, self._values[is_open])
        if self._state == self._put:
            self._is_open = is_open
        # DCSS waits for a report, also where nothing has changed; a state of its own is told when it gets there.
        if self._is_open is is_open and told == self._reports:
            self._report()

    def row(self) -> Mapping[str, Any]:
        return {"open": self._is_open}

    async def _obey(self, is_open: bool) -> None:
        try:
            await self.set(is_open)
        except Exception as error:
            self.around.log.error("shutter %s: %s: %s", self.name, reason(error), error)
            # What it really is, and why: DCSS waits for a report.
            self.send("htos_report_shutter_state", "open" if self._is_open else "closed", reason(error))

    async def _learn(self) -> None:
        """An enumeration is told as a number; its labels are in the configuration."""
        assert self._state is not None
        try:
            self._labels = (await self.around.neighbours.facts(self._state)).labels
        except NotConnectedError:
            self._labels = ()  # asked again by the next value that is a number

    def _changed(self, reading: Reading[Any]) -> None:
        value = reading.value
        if value is None:
            return
        wanted = self._values[True]
        if isinstance(wanted, str) and not isinstance(value, str):
            if not self._labels:
                self.spawn(self._learn_and_see(reading), "facts")
                return
            value = self._labels[int(value)] if int(value) < len(self._labels) else value
        if not isinstance(value, str):
            is_open = bool(value == wanted)
        elif wanted is True:
            is_open = value.casefold() in OPEN_WORDS
        else:
            is_open = value.casefold() == str(wanted).casefold()
        if is_open is not self._is_open:
            self._is_open = is_open
            self._report()

    async def _learn_and_see(self, reading: Reading[Any]) -> None:
        await self._learn()
        if self._labels:
            self._changed(reading)

    def _report(self) -> None:
        self._reports += 1
        if self.is_registered and self._is_open is not None:
            self.send("htos_report_shutter_state", "open" if self._is_open else "closed")
