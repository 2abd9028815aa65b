"""What a history is: samples go in, trends come out, whatever database holds them.

Times are nanoseconds since 1970 (UTC). A sample is the value that a PV had from its time on until that of the next one;
one that is not connected says that nobody knows from then on.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import DiptychError

INVALID: Final = 3  # the severities of EPICS: NO_ALARM 0, MINOR 1, MAJOR 2, INVALID 3
NANOSECONDS: Final = 1_000_000_000
MAX_POINTS: Final = 2000
GAP: Final = 0x80  # the bit of a stored status that says: not connected


class StoreAwayError(DiptychError):
    """The database takes nothing at present; the same samples may be written again later."""


class Sample(NamedTuple):
    """A value of a PV from a time on.

    Attributes:
        time_ns: the hardware's time where it gave one, ns since 1970.
        value: a number; the index of an enumeration; 0 or 1. When not connected, the last one known.
        severity: 0 to 3, NO_ALARM to INVALID.
    """

    pv: str
    time_ns: int
    value: float
    severity: int = 0
    is_connected: bool = True


class Batch(NamedTuple):
    """Samples that are written together.

    Attributes:
        id: a random one; a store that has written it already does nothing, when nobody knows whether it had.
        now_s: when they were gathered, s since 1970: until then everything was recorded.
        samples: in the order in which they came; times may jump.
    """

    id: int
    now_s: float
    samples: Sequence[Sample]


def new_batch(samples: Sequence[Sample], now_s: float) -> Batch:
    return Batch(secrets.randbits(63), now_s, samples)


@dataclass(frozen=True)
class Facts:
    """What is known of a PV beside its values.

    Attributes:
        kind: element type as a device description spells it, ``float64`` or ``enum``.
        labels: of an enumeration, by index.
        device, part: the Tango device, and its attribute.
    """

    kind: str = "float64"
    unit: str = ""
    labels: tuple[str, ...] = ()
    device: str = ""
    part: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Facts:
        return cls(**{**content, "labels": tuple(content.get("labels", ()))})


@dataclass(frozen=True)
class Columns:
    """Points of one PV in order of time, all arrays (points,). A point stands for one sample or for several.

    Attributes:
        time_ns: of the sample; the beginning of the time that several stand in.
        count: samples with a value; those that are not connected, and NaN, have none.
        low, high, total: smallest, largest and sum of their values; NaN without any.
        last: the value of the newest.
        severity: the worst, 0 to 3.
        is_connected: False when the PV was not connected at any time in between.
    """

    time_ns: NDArray[np.int64]
    count: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    total: NDArray[np.float64]
    last: NDArray[np.float64]
    severity: NDArray[np.uint8]
    is_connected: NDArray[np.bool_]

    @classmethod
    def of_samples(cls, time_ns: NDArray[np.int64], value: NDArray[np.float64], status: NDArray[np.uint8]) -> Columns:
        """One point for each sample; ``status`` is the severity, and :data:`GAP` when not connected."""
        is_connected = status < GAP
        value = np.where(is_connected, value, np.nan)
        count = (~np.isnan(value)).astype(np.int64)
        return cls(time_ns, count, value, value, value, value, (status & ~np.uint8(GAP)), is_connected)

    @classmethod
    def together(cls, parts: Sequence[Columns]) -> Columns:
        """All points, by time; those of one time in the order in which they came."""
        arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__]
        if (np.diff(arrays[0]) >= 0).all():
            return cls(*arrays)
        order = np.argsort(arrays[0], kind="stable")
        return cls(*(array[order] for array in arrays))

    @classmethod
    def none(cls) -> Columns:
        return cls.of_samples(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))

    def taken(self, which: Any) -> Columns:
        """Some of the points: a mask, a slice or indices."""
        return Columns(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True)
class Trend:
    """The answer to a question: one PV over some time.

    The first point may be older than the time asked for: the value that held when it began.

    Attributes:
        points: at most as many as asked for, and two.
        width_s: the time that each point stands for, s; 0 when each is a sample. Extremes are the true ones.
    """

    pv: str
    facts: Facts
    points: Columns
    width_s: float = 0.0

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Seconds since 1970; doubles are exact to 0.3 us there, ``points.time_ns`` is exact."""
        return self.points.time_ns / NANOSECONDS

    @property
    def low(self) -> NDArray[np.float64]:
        return self.points.low

    @property
    def high(self) -> NDArray[np.float64]:
        return self.points.high

    @property
    def mean(self) -> NDArray[np.float64]:
        """Of the samples, NaN without any."""
        return self.points.total / np.where(self.points.count > 0, self.points.count, 1)

    @property
    def last(self) -> NDArray[np.float64]:
        return self.points.last

    @property
    def severity(self) -> NDArray[np.uint8]:
        return self.points.severity

    @property
    def is_connected(self) -> NDArray[np.bool_]:
        return self.points.is_connected


class History(Protocol):
    """What readers see. Safe for one thread at a time; every method raises StoreAwayError without a database."""

    def pvs(self) -> dict[str, Facts]:
        """All PVs that there is something of."""

    def query(self, pvs: Sequence[str], from_s: float, to_s: float, max_points: int = MAX_POINTS) -> list[Trend]:
        """What the PVs were, one trend for each in the same order.

        Args:
            from_s, to_s: seconds since 1970, both included.
            max_points: more samples are put together: equal widths of time with their extremes, mean and newest value.

        Raises:
            UnknownNameError: nothing was ever recorded of a PV.
            RangeError: ``to_s`` is before ``from_s``, or ``max_points`` < 1.
        """

    def latest(self, pvs: Sequence[str]) -> list[Sample | None]:
        """The newest sample of each PV, None where there is none (any more)."""

    def alive_s(self) -> float | None:
        """The time of the newest batch, s since 1970; None before the first."""

    def close(self) -> None: ...


class Store(History, Protocol):
    """What the recorder sees; the one writer of a history. It stays usable when the database is away."""

    @property
    def size_bytes(self) -> int:
        """What the history takes; 0 where that is not known."""

    def write(self, batch: Batch) -> None:
        """Keep samples, all or none.

        Raises:
            StoreAwayError: it is not certain that they are kept; the same batch is to be given again, before others.
        """

    def describe(self, facts: Mapping[str, Facts], keep_s: Mapping[str, float]) -> None:
        """Say what PVs are, and for how long their samples are kept (a time of recording, s)."""
