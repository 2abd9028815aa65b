"""Questions, settings and actions of a Cryo-con as typed members of its subsystems.

A subsystem declares what it has; an instance binds that to one path and one instrument:
``await loop.setpoint.read()``, ``await loop.setpoint.write(77.5)``, ``await alarm.clear()``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar, overload

from devices.drivers.cryocon_protocol import Answer, Codec, Parse, answer, parse_number, short

T = TypeVar("T")


class Speaker(Protocol):
    """What items need of the instrument they belong to."""

    async def answers(self, *queries: Query[Any]) -> list[Answer[Any]]: ...

    async def put(self, command: str, query: str, name: str) -> str: ...


class Query(Generic[T]):
    """One value that can be asked for.

    Attributes:
        name: the question as the manual spells it, e.g. ``LOOP 1:SETPt``.
        subsystem: the abbreviated path of its subsystem, e.g. ``LOOP 1``; empty for the root.
        text: the abbreviated question within the subsystem, e.g. ``SETP?``.
    """

    def __init__(self, speaker: Speaker, path: str, keyword: str, parse: Parse[T], text: str = "") -> None:
        self.name = f"{path}:{keyword}" if path and keyword else path or keyword
        self.subsystem = "" if text else short(path)
        self.text = text or f"{short(keyword)}?"
        self.parse = parse
        self._speaker = speaker

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    async def answer(self) -> Answer[T]:
        """Ask; the value, or why there is none."""
        (result,) = await self._speaker.answers(self)
        return result

    async def read(self) -> T:
        """Ask for the value.

        Raises:
            InvalidReadingError: the sensor or the loop has none at present (fault, out of range, N/A).
            RefusedError: the instrument answered NACK.
            ProtocolError: the answer is not of the expected form.
            NotConnectedError, TimeoutError: the link says so.
        """
        return (await self.answer()).get()


class Setting(Query[T]):
    """One value that can be asked for and changed."""

    def __init__(self, speaker: Speaker, path: str, keyword: str, codec: Codec[T]) -> None:
        super().__init__(speaker, path, keyword, codec.parse)
        self._codec = codec

    async def write(self, value: T) -> T:
        """Change the value; what the instrument says it is now.

        Raises:
            RangeError, BadValueError: the value is not possible; nothing was sent.
            RefusedError: the instrument answered NACK.
            InvalidReadingError, ProtocolError, NotConnectedError, TimeoutError: as ``read``.
        """
        written = self._codec.format(self.name, value)
        whole = f"{self.subsystem}:{self.text}" if self.subsystem else self.text
        reply = await self._speaker.put(f"{whole.rstrip('?')} {written}", whole, f"{self.name} {written}")
        return answer(self.name, reply, self.parse).get()


class Action:
    """One thing the instrument can be told to do."""

    def __init__(self, speaker: Speaker, path: str, keyword: str) -> None:
        self.name = f"{path}:{keyword}" if path else keyword
        self._speaker = speaker

    async def __call__(self) -> None:
        """Tell the instrument; return when it has taken the command.

        Raises:
            RefusedError: the instrument answered NACK.
            NotConnectedError, TimeoutError: the link says so.
        """
        # A bare command is answered by silence, which says nothing; a query behind it makes the instrument speak.
        await self._speaker.put(short(self.name), "*OPC?", self.name)


class Subsystem:
    """A group of items under one path of the command tree, e.g. ``LOOP 1``."""

    def __init__(self, speaker: Speaker, path: str) -> None:
        self.speaker = speaker
        self.path = path

    def queries(self) -> Iterator[tuple[str, Query[Any]]]:
        """The names and items of everything that can be asked here."""
        for name in vars(type(self)) | vars(self):
            if isinstance(item := getattr(self, name), Query):
                yield name, item


class query(Generic[T]):
    """Declare a value that can be asked for."""

    def __init__(self, keyword: str, parse: Parse[T]) -> None:
        self.keyword = keyword
        self.parse = parse

    @overload
    def __get__(self, owner: None, kind: type) -> query[T]: ...
    @overload
    def __get__(self, owner: Subsystem, kind: type) -> Query[T]: ...
    def __get__(self, owner: Subsystem | None, kind: type) -> query[T] | Query[T]:
        return self if owner is None else Query(owner.speaker, owner.path, self.keyword, self.parse)


class reading(query[float]):
    """Declare a number that can be asked for."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword, parse_number)


class setting(query[T]):
    """Declare a value that can be asked for and changed."""

    def __init__(self, keyword: str, codec: Codec[T]) -> None:
        super().__init__(keyword, codec.parse)
        self.codec = codec

    @overload
    def __get__(self, owner: None, kind: type) -> setting[T]: ...
    @overload
    def __get__(self, owner: Subsystem, kind: type) -> Setting[T]: ...
    def __get__(self, owner: Subsystem | None, kind: type) -> setting[T] | Setting[T]:
        return self if owner is None else Setting(owner.speaker, owner.path, self.keyword, self.codec)


class action:
    """Declare something the instrument can be told to do."""

    def __init__(self, keyword: str) -> None:
        self.keyword = keyword

    @overload
    def __get__(self, owner: None, kind: type) -> action: ...
    @overload
    def __get__(self, owner: Subsystem, kind: type) -> Action: ...
    def __get__(self, owner: Subsystem | None, kind: type) -> action | Action:
        return self if owner is None else Action(owner.speaker, owner.path, self.keyword)
