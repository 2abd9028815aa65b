"""What has properties in a Tango database, and how those differ from what a facility file wants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import tango

from servers.facility.change import Apply, Change
from servers.facility.facility_file import Properties

# DataBaseds (C++) takes a backslash before a quotation mark for an escape and drops it; of two it keeps one.
_QUOTED = re.compile(r"""\\(?=["'])""")


@dataclass(frozen=True)
class PropertyOwner:
    """A device or a class, or an attribute of either.

    Attributes:
        server: the server that reads the properties when it starts; None for those of no single server.
    """

    kind: Literal["device", "class"]
    name: str
    attribute: str | None = None
    server: str | None = None

    def __str__(self) -> str:
        text = self.name if self.kind == "device" else f"class {self.name}"
        return f"{text}/{self.attribute}" if self.attribute else text

    def stored(self, database: tango.Database) -> Properties:
        """All properties that the database has: name -> lines."""
        names = self._names(database)
        # DataBaseds (C++) refuses to be asked for nothing.
        found = self._call(database, "get", names) if names else {}
        if self.attribute is not None:
            found = found[self.attribute]
        return {name: [str(line) for line in lines] for name, lines in found.items()}

    def changes(
        self, database: tango.Database, wanted: Properties, keep: Callable[[str], bool] = lambda name: True
    ) -> Iterator[Change]:
        """What has to change so that the database has the properties that are wanted.

        Args:
            wanted: name -> lines; no lines: to be deleted.
            keep: whether a property stays that the database has and nobody wants.
        """
        present = {name.casefold(): (name, lines) for name, lines in self.stored(database).items()}
        for name, lines in wanted.items():
            stored_name, stored = present.pop(name.casefold(), (name, []))
            if lines == stored:
                continue
            if not lines:
                yield self._deleted(stored_name, stored)
            elif stored:
                text = f"{self} {name}: {_shown(stored)} -> {_shown(lines)}"
                yield Change("change", text, self.server, self._put(stored_name, lines))
            else:
                yield Change("add", f"{self} {name} = {_shown(lines)}", self.server, self._put(name, lines))
        for name, stored in present.values():
            if not keep(name):
                yield self._deleted(name, stored)

    def _names(self, database: tango.Database) -> list[str]:
        """What Tango has to be asked for."""
        if self.attribute is not None:
            return [self.attribute]
        if self.kind == "device":
            return list(database.get_device_property_list(self.name, "*"))
        return list(database.get_class_property_list(self.name))

    def _put(self, name: str, lines: list[str]) -> Apply:
        def apply(database: tango.Database) -> None:
            self._call(database, "put", self._group({name: lines}))
            if any(map(_QUOTED.search, lines)) and self.stored(database)[name] != lines:
                self._call(database, "put", self._group({name: [_QUOTED.sub(r"\\\\", line) for line in lines]}))

        return apply

    def _deleted(self, name: str, lines: list[str]) -> Change:
        def apply(database: tango.Database) -> None:
            self._call(database, "delete", self._group([name]))

        return Change("delete", f"{self} {name} (was {_shown(lines)})", self.server, apply)

    def _group(self, content: object) -> object:
        return content if self.attribute is None else {self.attribute: content}

    def _call(self, database: tango.Database, verb: str, content: object) -> Any:
        kind = self.kind if self.attribute is None else f"{self.kind}_attribute"
        return getattr(database, f"{verb}_{kind}_property")(self.name, content)


def _shown(lines: Iterable[str]) -> str:
    text = " | ".join(lines)
    return text if len(text) <= 80 else text[:77] + "..."
