"""Attributes and commands of other devices, and PVs, for a device that bridges them; the server knows the way.

An address is ``cryo/cryocon/1/setpoint_1`` (an attribute or a command of a Tango device of the same database, or with
``tango://HOST:PORT/`` before it of another), ``ca:NAME`` (Channel Access) or ``pva:NAME`` (PVAccess).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devices.core.errors import NotConnectedError
from devices.core.reading import Reading

#: Called in the device's loop; a neighbour that is lost gives an INVALID reading with the reason.
Changed = Callable[[Reading[Any]], None]
#: Called in the device's loop with the per cent and the message of an operation.
Progress = Callable[[float, str], None]
#: How long a put or a short command may take, s.
ANSWER_SECONDS = 3.0


@dataclass(frozen=True)
class Facts:
    """What is known of an attribute or PV.

    Attributes:
        unit: "" none. limits: what it takes, lowest and highest; None: no bound. labels: of an enumeration.
        is_writable: whether it takes values at all. text: how it describes itself.
    """

    unit: str = ""
    limits: tuple[float | None, float | None] = (None, None)
    labels: tuple[str, ...] = ()
    is_writable: bool = False
    text: str = ""


class Watch(ABC):
    """A subscription."""

    @abstractmethod
    def close(self) -> None:
        """Changes are told no more; at once, in the device's loop."""


class Neighbours(ABC):
    """How a device reaches others. All methods are called in the device's loop.

    Errors are the neighbour's own: NotConnectedError when it cannot be reached, TimeoutError, RangeError,
    BadValueError, BusyError, NotAllowedError, RefusedError, UnknownNameError.
    """

    @abstractmethod
    def watch(self, address: str, changed: Changed) -> Watch:
        """Tell each value from now on, the present one first; never raises for a neighbour that is away.

        Raises:
            BadValueError: it is no address.
        """

    @abstractmethod
    async def facts(self, address: str) -> Facts:
        """What is known of an attribute or PV."""

    @abstractmethod
    async def read(self, address: str) -> Reading[Any]:
        """The value now; enumerations as their labels."""

    @abstractmethod
    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        """Put a value and wait until it was taken; texts become what the neighbour wants."""

    @abstractmethod
    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        """Run a command, or an operation to its end, and return its result.

        A cancelled call aborts the operation that it began.

        Args:
            seconds: how long it may take; None: a command `ANSWER_SECONDS`, an operation as long as it wants.
        Raises:
            AbortedError: somebody ended it.
        """

    @abstractmethod
    async def close(self) -> None:
        """End all watches and connections."""


class NoNeighbours(Neighbours):
    """A device that stands alone."""

    def watch(self, address: str, changed: Changed) -> Watch:
        raise NotConnectedError(f"{address}: this device stands alone")

    async def facts(self, address: str) -> Facts:
        raise NotConnectedError(f"{address}: this device stands alone")

    async def read(self, address: str) -> Reading[Any]:
        raise NotConnectedError(f"{address}: this device stands alone")

    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        raise NotConnectedError(f"{address}: this device stands alone")

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        raise NotConnectedError(f"{address}: this device stands alone")

    async def close(self) -> None:
        pass
