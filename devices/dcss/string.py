"""A string of DCSS: what neighbours say as a Tcl list of keys and values, or a text that is only kept."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np

from devices.core import Reading
from devices.core.errors import reason
from devices.dcss.bridge_member import Member, Surroundings
from devices.dcss.handler import Message
from devices.drivers import dcs_text, tcl_list

#: DCSS cuts longer ones, characters.
MAX_STRING: Final = 960
#: What stands for a value that is not known: an empty word.
UNKNOWN: Final = ""


class String(Member):
    """Tells its value after each login and after each change, but not too often.

    Args:
        words: key -> address; the string is ``key value key value``.
        value: or one address, whose value is the whole string.
        put: takes what DCSS sets; without it, and without addresses, the string is kept here.
        format: of numbers, as Python writes it.
        seconds: at least so much lies between two changes that are told, s.
    """

    kind: ClassVar[str] = "string"

    def __init__(
        self,
        name: str,
        around: Surroundings,
        words: Mapping[str, str] | None = None,
        value: str | None = None,
        put: str | None = None,
        format: str = ".6g",
        seconds: float = 0.5,
    ) -> None:
        super().__init__(name, around)
        self._addresses = dict(words or ({"": value} if value else {}))
        self._put, self._format, self._seconds = put, format, seconds
        self._readings: dict[str, Reading[Any]] = {}
        self._labels: dict[str, tuple[str, ...]] = {}
        self._text: str | None = None
        self._told: str | None = None
        self._told_at = 0.0
        self._telling: asyncio.TimerHandle | None = None

    @property
    def text(self) -> str | None:
        """What DCSS is told; None: not known yet."""
        return self._text

    def begin(self) -> None:
        for key, address in self._addresses.items():
            self.watch(address, partial(self._changed, key))

    def registered(self, message: Message) -> None:
        super().registered(message)
        self._told = None
        if self._text is not None:
            self._tell_now()
        elif not self._addresses:
            # DCSS has what was set last; it answers with stoh_configure_string.
            self.send("htos_send_configuration")

    def take(self, message: Message) -> None:
        match message.command:
            case "stoh_set_string":
                self.spawn(self._set(rest_of(message, 1)), "set")
            case "stoh_configure_string":
                if not self._addresses and self._text is None:
                    self._text = self._told = rest_of(message, 2)
            case _:
                raise self.refuse(message)

    def set(self, text: str) -> None:
        """Keep a text and tell it."""
        self._text = _cut(dcs_text.rest(text))
        self._tell()

    def row(self) -> Mapping[str, Any]:
        return {"text": self._text}

    async def _set(self, text: str) -> None:
        try:
            if self._put is not None:
                await self.around.neighbours.put(self._put, text)
            elif self._addresses:
                self.send("htos_set_string_completed", "read_only", rest=self._text or "")
                return
        except Exception as error:
            self.around.log.error("string %s: %s: %s", self.name, reason(error), error)
            self.send("htos_set_string_completed", reason(error), rest=self._text or "")
            return
        if self._addresses:
            self.send("htos_set_string_completed", "normal", rest=self._text or text)
        else:
            self._text = _cut(dcs_text.rest(text))
            self._tell_now()

    def _changed(self, key: str, reading: Reading[Any]) -> None:
        self._readings[key] = reading
        if isinstance(reading.value, int | np.integer) and key not in self._labels:
            self._labels[key] = ()
            self.spawn(self._learn(key), "facts")
        self._compose()

    async def _learn(self, key: str) -> None:
        """An enumeration is told by its label."""
        try:
            self._labels[key] = (await self.around.neighbours.facts(self._addresses[key])).labels
        except Exception as error:
            del self._labels[key]
            self.around.log.warning("string %s: labels of %s: %s", self.name, self._addresses[key], error)
            return
        if self._labels[key]:
            self._compose()

    def _compose(self) -> None:
        if len(self._readings) < len(self._addresses):
            return
        if "" in self._addresses:
            text = self._shown("")
        else:
            pairs = ((key, dcs_text.speakable(self._shown(key))) for key in self._addresses)
            text = tcl_list.join(word for pair in pairs for word in pair)
        text = _cut(dcs_text.rest(text))
        if text != self._text:
            self._text = text
            self._tell()

    def _shown(self, key: str) -> str:
        value = self._readings[key].value
        labels = self._labels.get(key, ())
        if labels and isinstance(value, int | np.integer) and 0 <= value < len(labels):
            return labels[int(value)]
        return shown(value, self._format)

    def _tell(self) -> None:
        if self.is_registered and self._telling is None:
            wait = self._told_at + self._seconds - time.monotonic()
            self._telling = asyncio.get_running_loop().call_later(max(0.0, wait), self._tell_now)

    def _tell_now(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if self._text is not None and self._text != self._told and self.is_registered:
            self._told, self._told_at = self._text, time.monotonic()
            self.send("htos_set_string_completed", "normal", rest=self._text)


def shown(value: Any, number_format: str) -> str:
    """A value as a word of a string: numbers as asked for, several as a list, none as an empty word."""
    if value is None:
        return UNKNOWN
    if isinstance(value, enum.Enum):
        return str(value.value if isinstance(value.value, str) else value.name)
    if isinstance(value, np.ndarray | list | tuple):
        return tcl_list.join(shown(each, number_format) for each in value)
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return format(float(value), number_format)
    return str(value)


def rest_of(message: Message, words: int) -> str:
    """The arguments behind so many, as they came."""
    parts = message.text.split(None, words)
    return parts[words] if len(parts) > words else ""


def _cut(text: str) -> str:
    """At most `MAX_STRING` characters, by leaving out whole words at the end."""
    if len(text) <= MAX_STRING:
        return text
    words = tcl_list.split(text)
    while words and len(tcl_list.join(words)) > MAX_STRING:
        words.pop()
    return tcl_list.join(words)
