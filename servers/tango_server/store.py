"""Where memorized values live: the Tango database, or a file when there is none."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import tango

#: Tango's own name for the memorized value of an attribute, so that Jive shows it where people look.
PROPERTY = "__value"


class DatabaseStore:
    """Memorized values as attribute properties of the device in the Tango database."""

    def __init__(self, device_name: str, attributes: list[str]) -> None:
        self._device_name = device_name
        self._attributes = attributes
        self._database: tango.Database | None = None

    def _connected(self) -> tango.Database:
        if self._database is None:
            self._database = tango.Database()
        return self._database

    def load(self) -> Mapping[str, str]:
        if not self._attributes:
            return {}
        found = self._connected().get_device_attribute_property(self._device_name, self._attributes)
        return {name: "\n".join(kept[PROPERTY]) for name, kept in found.items() if PROPERTY in kept}

    def save(self, values: Mapping[str, str]) -> None:
        try:
            self._connected().put_device_attribute_property(
                self._device_name, {name: {PROPERTY: [_portable(text)]} for name, text in values.items()}
            )
        except tango.DevFailed:
            # A database that restarted is found again by a new connection.
            self._database = None
            raise


def _portable(text: str) -> str:
    """A JSON text without backslashes before quotation marks, of which DataBaseds (C++) drops one."""
    codes = {'"': r"\u0022", "\\": r"\u005c"}
    return re.sub(r'\\(["\\])', lambda found: codes[found[1]], text)


class FileStore:
    """Memorized values in one JSON file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Mapping[str, str]:
        if not self._path.exists():
            return {}
        kept = json.loads(self._path.read_text())
        return {str(name): str(text) for name, text in kept.items()}

    def save(self, values: Mapping[str, str]) -> None:
        merged = {**self.load(), **values}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        with draft.open("w") as file:
            json.dump(merged, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
