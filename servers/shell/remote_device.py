"""A device that is reached through Tango, by the names and types that it describes itself with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.core.command import CommandSpec
from devices.core.errors import BadValueError, InvalidReadingError, UnknownNameError
from devices.core.interface import Interface
from servers.ccd_client import CcdClient, Progress
from servers.facility.spelling import did_you_mean


class RemoteDevice:
    """One device.

    Attributes:
        name: in the database. interface: what it described.
    """

    def __init__(self, name: str, url: str) -> None:
        """Connect and ask for the description.

        Raises:
            DiptychError: it does not answer, or describes nothing: it is none of this project.
        """
        self.name = name
        self.client = CcdClient(url)
        self.interface = Interface.from_json(self.client.call("describe"))
        self.attributes = {spec.name: spec for spec in self.interface.attributes}
        self.commands: dict[str, CommandSpec] = {spec.name: spec for spec in self.interface.commands}

    def get(self, attribute: str) -> Any:
        """The value of an attribute: a number, text, label, array or list.

        Raises:
            InvalidReadingError: it has none at present. UnknownNameError: there is no such attribute.
        """
        self._known(self.attributes, attribute, "attribute")
        value = self.client.get(attribute)
        if value is None:
            raise InvalidReadingError(f"{self.name}/{attribute} is INVALID at present")
        return list(value) if isinstance(value, tuple) else value

    def put(self, attribute: str, value: Any) -> None:
        """Put a value into an attribute."""
        self._known(self.attributes, attribute, "attribute")
        self.client.put(attribute, value)

    def run(self, command: str, given: tuple[Any, ...] = (), named: Mapping[str, Any] | None = None) -> Any:
        """Run a command; its result. Start an operation; its id."""
        spec: CommandSpec = self._known(self.commands, command, "command")
        words = self._words(spec, given, named or {})
        if len(spec.arguments) == 1:
            only = spec.arguments[0]
            if only.name not in words and only.required:
                raise BadValueError(f"{command}: {only.name} is missing")
            result = self.client.call(command, words.get(only.name, only.default))
        elif spec.arguments:
            result = self.client.call(command, json.dumps(words, default=_plain))
        else:
            result = self.client.call(command)
        return json.loads(result) if spec.json_result and spec.kind == "command" else result

    def done(
        self,
        operation: str,
        given: tuple[Any, ...] = (),
        named: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Run an operation to its end; its result. Ctrl-C aborts it."""
        identity = str(self.run(operation, given, named))
        try:
            return self.client.wait(identity, None, progress)
        except KeyboardInterrupt:
            self.client.call("abort", identity)
            raise

    def _words(self, spec: CommandSpec, given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        names = [each.name for each in spec.arguments]
        if len(given) > len(names):
            raise BadValueError(f"{spec.name} takes {len(names)} arguments, not {len(given)}")
        words = dict(zip(names, given, strict=False))
        for name, value in named.items():
            if name not in names or name in words:
                problem = "is given twice" if name in words else f"is no argument{did_you_mean(name, names)}"
                raise BadValueError(f"{spec.name}: {name} {problem}")
            words[name] = value
        return words

    def _known(self, table: Mapping[str, Any], name: str, what: str) -> Any:
        try:
            return table[name]
        except KeyError:
            raise UnknownNameError(f"{self.name} has no {what} {name}{did_you_mean(name, table)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise BadValueError(f"{value!r:.80} is nothing that JSON knows")
