"""A tool of a camera as remote methods see it: a device of this process, or one that is reached through Tango."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np

from devices.core import Device
from devices.core.errors import InvalidReadingError, NotAllowedError
from devices.core.json_value import json_value
from devices.core.peers import Peers

_PLAIN: Final = frozenset({float, int, str, bool})


class Tool(ABC):
    """Attributes, commands and operations of a device; errors are those of `devices.core.errors`."""

    @abstractmethod
    def value(self, attribute: str) -> Any:
        """The latest value: a number, text, label or list.

        Raises:
            InvalidReadingError: there is none at present.
        """

    @abstractmethod
    async def put(self, attribute: str, value: Any) -> None:
        """Put a value into an attribute."""

    @abstractmethod
    async def run(self, command: str, **words: Any) -> Any:
        """Run a command; its result. Start an operation; its id."""

    @abstractmethod
    async def done(self, operation: str, **words: Any) -> Any:
        """Run an operation to its end; its result. It goes on when nobody waits any more."""

    def value_or(self, attribute: str, default: Any) -> Any:
        """The latest value, or this while there is none."""
        try:
            return self.value(attribute)
        except InvalidReadingError:
            return default


class DeviceTool(Tool):
    """A device of this process, found anew each time: Tango's Init puts another into its place."""

    def __init__(self, peers: Peers, name: str) -> None:
        self._peers, self._name = peers, name

    @property
    def device(self) -> Device:
        """Raises NotConnectedError: it is not in this process."""
        return self._peers.find(self._name, Device)

    def value(self, attribute: str) -> Any:
        found = self.device.attributes[attribute].value
        if type(found) in _PLAIN:
            return found
        if isinstance(found, np.ndarray) and found.dtype.kind in "iub":
            return found.tolist()
        return json_value(found, attribute)

    async def put(self, attribute: str, value: Any) -> None:
        await self.device.put(attribute, value)

    async def run(self, command: str, **words: Any) -> Any:
        found = await self.device.run(command, words)
        return json_value(found, command)

    async def done(self, operation: str, **words: Any) -> Any:
        device = self.device
        return await device.operations.result(await device.run(operation, words))


class NoTool(Tool):
    """A tool that this camera has not."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self) -> NotAllowedError:
        return NotAllowedError(f"this camera has no {self._name}")

    def value(self, attribute: str) -> Any:
        raise self._refuse()

    async def put(self, attribute: str, value: Any) -> None:
        raise self._refuse()

    async def run(self, command: str, **words: Any) -> Any:
        raise self._refuse()

    async def done(self, operation: str, **words: Any) -> Any:
        raise self._refuse()
