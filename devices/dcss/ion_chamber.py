"""An ion chamber of DCSS: a neighbour that counts, or whose level is watched for the time asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

from devices.core import Reading
from devices.core.errors import NotConnectedError
from devices.dcss.bridge_member import Member, Surroundings
from devices.dcss.handler import Message

Meaning = Literal["rate", "level", "counter"]
#: A count longer than this is refused, s.
LONGEST_COUNT: Final = 3600.0


class IonChamber(Member):
    """Gives one number for a time.

    Args:
        value: an attribute or PV. meaning: counts per second, whose integral is told; a level, whose mean is told; or a
            counter that only grows, whose growth is told.
        command: or a command or operation that counts; ``argument`` names its time in s, its result is the counts.
    """

    kind: ClassVar[str] = "ion_chamber"

    def __init__(
        self,
        name: str,
        around: Surroundings,
        value: str | None = None,
        meaning: Meaning = "rate",
        command: str | None = None,
        argument: str = "seconds",
    ) -> None:
        super().__init__(name, around)
        self._value, self._meaning, self._command, self._argument = value, meaning, command, argument
        self._reading: Reading[Any] | None = None
        self._integral, self._since = 0.0, 0.0

    def begin(self) -> None:
        if self._value is not None:
            self.watch(self._value, self._changed)

    def take(self, message: Message) -> None:
        if message.command != "stoh_configure_ion_chamber":
            raise self.refuse(message)

    async def count(self, seconds: float) -> float:
        """Count for so long.

        Raises:
            NotConnectedError: there is no value.
        """
        if self._command is not None:
            found = await self.around.neighbours.run(self._command, {self._argument: seconds}, None, seconds + 10.0)
            if isinstance(found, Mapping):
                found = next(iter(found.values()))
            return float(found)
        first, began, integral = self._known(), time.monotonic(), self._now()
        await asyncio.sleep(seconds)
        last = self._known()
        if self._meaning == "counter":
            return last - first
        area = self._now() - integral
        return area if self._meaning == "rate" else area / (time.monotonic() - began)

    def row(self) -> Mapping[str, Any]:
        return {"value": None if self._reading is None else self._reading.value}

    def _changed(self, reading: Reading[Any]) -> None:
        self._integral, self._since = self._now(), time.monotonic()
        self._reading = reading

    def _now(self) -> float:
        """The value's integral over time until now; each value counts until the next one."""
        if self._reading is None or self._reading.value is None:
            return self._integral
        return self._integral + float(self._reading.value) * (time.monotonic() - self._since)

    def _known(self) -> float:
        if self._reading is None or self._reading.value is None:
            raise NotConnectedError(f"{self.name}: {'no value yet' if self._reading is None else self._reading.reason}")
        return float(self._reading.value)


class IonChambers:
    """All of one DHS: one request counts several of them at the same time, with one report."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._members: dict[str, IonChamber] = {}
        self._counting: dict[tuple[str, ...], asyncio.Task[None]] = {}

    def add(self, member: IonChamber) -> None:
        self._members[member.name] = member

    def read(self, words: Sequence[str]) -> None:
        """``stoh_read_ion_chambers time repeat ch1 [ch2..]``; a new request takes the place of the one that runs."""
        seconds, repeat, *names = words
        key = tuple(names)
        if (running := self._counting.pop(key, None)) is not None:
            running.cancel()
        task = asyncio.create_task(self._count(float(seconds), repeat == "1", key), name=f"counting {' '.join(names)}")
        self._counting[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    def abort(self) -> None:
        for task in self._counting.values():
            task.cancel()

    def _ended(self, key: tuple[str, ...], task: asyncio.Task[None]) -> None:
        if self._counting.get(key) is task:
            del self._counting[key]
            if task.cancelled():
                self._fail(key, "aborted")

    def _fail(self, names: tuple[str, ...], why: str, generation: int | None = None) -> None:
        self._around.send("htos_report_ion_chambers", 0, *names, why, generation=generation)

    async def _count(self, seconds: float, repeat: bool, names: tuple[str, ...]) -> None:
        generation = self._around.generation
        while True:
            if unknown := [name for name in names if name not in self._members]:
                self._around.log.warning("DCSS reads ion chambers that are not mapped: %s", ", ".join(unknown))
                return self._fail(names, "not_implemented", generation)
            if not 0.0 < seconds <= LONGEST_COUNT:
                return self._fail(names, "bad_time", generation)
            try:
                counts = await asyncio.gather(*(self._members[name].count(seconds) for name in names))
            except Exception as error:
                self._around.log.error("ion chambers %s: %s", ", ".join(names), error)
                return self._fail(names, type(error).__name__, generation)
            pairs = [word for name, count in zip(names, counts, strict=True) for word in (name, count)]
            if not self._around.send("htos_report_ion_chambers", seconds, *pairs, generation=generation) or not repeat:
                return None
