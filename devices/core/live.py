"""A live attribute: the latest reading, the setpoint, and who listens."""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from devices.core.alarm import Range, judge
from devices.core.attribute import AttributeSpec
from devices.core.errors import AbortedError, InvalidReadingError, NotAllowedError, RangeError, TimeoutError
from devices.core.reading import Quality, Reading, worst

if TYPE_CHECKING:
    from devices.core.device import Device

T = TypeVar("T")
log = logging.getLogger("diptych")

#: The framework ends a put after this time, s: before a Tango client gives up at 3 s.
PUT_TIMEOUT = 2.5

#: Why an attribute is INVALID that nobody has published yet.
NO_VALUE = "no value yet"

#: The attributes that the poll, put or connect now running has published.
published: ContextVar[set[LiveAttribute[Any]] | None] = ContextVar("published", default=None)
#: When the poll now running began, s since 1970: what it publishes is not newer than that for sure.
polled_since: ContextVar[float | None] = ContextVar("polled_since", default=None)


class Event(enum.Flag):
    """What a publication is to a listener."""

    SILENT = 0
    CHANGE = enum.auto()
    ARCHIVE = enum.auto()
    SETPOINT = enum.auto()
    CONFIG = enum.auto()


Listener = Callable[["LiveAttribute[Any]", Reading[Any], Event], None]


class LiveAttribute(Generic[T]):
    """An attribute of a running device.

    ``reading`` may be read from any thread and never waits. ``publish`` is for values from the hardware, ``put`` for
    values that a client asks for.
    """

    def __init__(
        self,
        spec: AttributeSpec,
        device: Device,
        hook: Callable[[Any], Awaitable[None]] | None = None,
        initial: T | None = None,
    ) -> None:
        self.spec = spec
        self.device = device
        self.reading: Reading[T] = Reading(None, time.time(), Quality.INVALID, NO_VALUE)
        self.setpoint: Reading[T] | None = None
        self._hook = hook
        self._listeners: tuple[Listener, ...] = ()
        self._sent: Reading[T] | None = None
        self._archived: Reading[T] | None = None
        self._bound = ""
        #: What the hardware said of the value, before the bounds did.
        self._said = Quality.VALID
        #: When the setpoint was last put or published, s since 1970.
        self._settled = 0.0
        if initial is not None:
            value = spec.datatype.convert(initial, spec.name)
            self.reading = Reading(value, time.time())
            self.setpoint = self.reading if spec.writable else None

    def __repr__(self) -> str:
        return f"<{self.device.name}/{self.name} {self.reading}>"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def value(self) -> T:
        """The latest value.

        Raises:
            InvalidReadingError: it is INVALID at present.
        """
        reading = self.reading
        if reading.value is None:
            raise InvalidReadingError(f"{self.name} is INVALID: {reading.reason}")
        return reading.value

    @property
    def has_hook(self) -> bool:
        """Whether a put goes to the hardware; otherwise the attribute is a setting of the device itself."""
        return self._hook is not None

    @property
    def timestamp(self) -> float:
        return self.reading.timestamp

    @property
    def quality(self) -> Quality:
        return self.reading.quality

    def publish(
        self, value: T, *, timestamp: float | None = None, quality: Quality = Quality.VALID, copy: bool = True
    ) -> None:
        """Publish a value from the hardware.

        Args:
            value: in the attribute's unit; NaN makes the reading INVALID.
            timestamp: when the hardware gave it, s since 1970; now when None.
            quality: what the hardware says of it; bounds can only make it worse.
            copy: False when the caller gives an array away for good.

        Raises:
            BadValueError, RangeError: the value does not fit the declaration.
        """
        spec = self.spec
        converted = spec.datatype.convert(value, spec.name, copy=copy)
        at = time.time() if timestamp is None else timestamp
        reason = ""
        self._said = quality
        if spec.datatype.is_number:
            quality, reason = self._judge(converted, quality)
        if quality is Quality.INVALID:
            self._accept(Reading(None, at, quality, reason or "the hardware calls it invalid"))
        else:
            self._accept(Reading(converted, at, quality, reason))

    def publish_change(self, value: T, quality: Quality = Quality.VALID) -> None:
        """Publish a value, in the attribute's unit, unless it and the quality are what is shown already.

        For what is computed again and again; a poll of hardware publishes, which tells that the value is new.

        Raises:
            BadValueError, RangeError: the value does not fit the declaration.
        """
        converted = self.spec.datatype.convert(value, self.spec.name)
        if self._said is not quality or not _equal(converted, self.reading.value):
            self.publish(value, quality=quality)

    def publish_invalid(self, reason: str, *, timestamp: float | None = None) -> None:
        """Publish that there is no valid value at present, and why."""
        self._bound = ""
        self._accept(Reading(None, time.time() if timestamp is None else timestamp, Quality.INVALID, reason))

    def publish_setpoint(self, value: T, *, timestamp: float | None = None) -> None:
        """Publish the hardware's own set point, at connect or when somebody changed it at the front panel."""
        converted = self.spec.datatype.convert(value, self.name)
        self._set_setpoint(converted, time.time() if timestamp is None else timestamp)

    async def put(self, value: Any) -> None:
        """Ask the hardware for a value; returns when the hardware took it.

        Raises:
            NotAllowedError: the attribute cannot be written.
            BadValueError, RangeError: nothing was sent.
            TimeoutError: no answer within 2.5 s.
            DiptychError: whatever the driver raised.
        """
        spec = self.spec
        if not spec.writable:
            raise NotAllowedError(f"{spec.name} is read-only")
        converted = spec.datatype.convert(value, spec.name)
        check_limits(spec.name, converted, spec.limits, spec.unit)
        self._check_highest(converted)
        read_back: set[LiveAttribute[Any]] = set()
        if self._hook is None:
            self.publish(converted)
        else:
            token = published.set(read_back)
            try:
                await ended_in_time(self._hook(converted), PUT_TIMEOUT, f"writing {self.name}")
            finally:
                published.reset(token)
        # A register that the hook has read back already says what the hardware made of the value (rounded, clipped).
        if spec.setpoint_follows and self in read_back and self.reading.value is not None:
            self._settled = time.time()
        else:
            self._set_setpoint(converted, time.time())
        if spec.memorized:
            self.device.remember(self)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` in the device's loop for every publication that is an event; returns how to stop it."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(kept for kept in self._listeners if kept is not listener)

        return unsubscribe

    def configure(self, **changes: Any) -> None:
        """Change parts of the specification while the device runs (unit, limits, bounds); the value is judged anew."""
        spec = replace(self.spec, **changes)
        if spec == self.spec:
            return
        self.spec = spec
        reading = self.reading
        if reading.value is not None and spec.datatype.is_number:
            quality, reason = self._judge(reading.value, self._said)
            self.reading = Reading(reading.value, reading.timestamp, quality, reason)
            self.device.note_quality(self)
            self._notify(self.reading, Event.CONFIG | Event.CHANGE | Event.ARCHIVE)
            self._sent = self._archived = self.reading
        else:
            self._notify(reading, Event.CONFIG)

    def _check_highest(self, value: Any) -> None:
        spec = self.spec
        if spec.highest:
            bound = self.device.attributes[spec.highest]
            if bound.reading.value is not None and value > bound.reading.value:
                raise RangeError(
                    f"{spec.name} = {value} {spec.unit} is above {bound.name} = {bound.reading.value} {bound.spec.unit}"
                )

    def _judge(self, value: Any, quality: Quality) -> tuple[Quality, str]:
        spec = self.spec
        judgement = judge(value, spec.warning, spec.alarm, spec.hysteresis, self._bound)
        self._bound = judgement.bound
        quality = worst(quality, judgement.quality)
        if judgement.quality is Quality.INVALID:
            return quality, "not a number"
        if not judgement.bound:
            return quality, ""
        bounds = spec.alarm if judgement.bound in ("LOLO", "HIHI") else spec.warning
        assert bounds is not None
        bound = bounds[0] if judgement.bound in ("LOLO", "LOW") else bounds[1]
        return quality, f"{judgement.bound} {bound} {spec.unit}".rstrip()

    def _accept(self, reading: Reading[T]) -> None:
        if self.device.elsewhere(self._accept, reading):
            return
        self.reading = reading
        # First, so that whoever acts on the event finds a State that agrees with it.
        self.device.note_quality(self)
        noted = published.get()
        if noted is not None:
            noted.add(self)
        event = Event.SILENT
        if self.spec.setpoint_follows and reading.value is not None:
            held = self.setpoint
            # A poll that had its answer before the last put ended must not bring the old setpoint back.
            if held is None or (polled_since.get() or reading.timestamp) >= self._settled:
                self.setpoint = reading
                if held is None or not _equal(held.value, reading.value):
                    event |= Event.SETPOINT
        if self.spec.change.passes(self._sent, reading):
            event |= Event.CHANGE
            self._sent = reading
        if self.spec.archive.passes(self._archived, reading):
            event |= Event.ARCHIVE
            self._archived = reading
        if event:
            self._notify(reading, event)

    def _set_setpoint(self, value: T, timestamp: float) -> None:
        if self.device.elsewhere(self._set_setpoint, value, timestamp):
            return
        held = self.setpoint
        self.setpoint, self._settled = Reading(value, timestamp), time.time()
        if held is None or not _equal(held.value, value):
            self._notify(self.setpoint, Event.SETPOINT)

    def _notify(self, reading: Reading[T], event: Event) -> None:
        for listener in self._listeners:
            try:
                listener(self, reading, event)
            except Exception:
                log.exception("%s/%s: a listener failed", self.device.name, self.name)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def check_limits(name: str, value: Any, limits: Range | None, unit: str) -> None:
    """Check a number or an array against limits; a value equal to a limit is allowed.

    NaN is refused, save in an array that has no limits.

    Raises:
        RangeError: e.g. ``temperature = -200.0 degC is outside [-120.0, 30.0] degC``.
    """
    least, most = (value, value)
    if hasattr(value, "dtype"):
        if value.size == 0 or value.dtype.kind not in "iuf":
            return
        least, most = value.min().item(), value.max().item()
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return
    suffix = f" {unit}" if unit else ""
    if limits is None:
        if isinstance(least, float) and math.isnan(least) and not hasattr(value, "dtype"):
            raise RangeError(f"{name} = nan{suffix} is not a number")
        return
    low, high = limits
    for extreme in (least, most):
        below = low is not None and not extreme >= low
        above = high is not None and not extreme <= high
        if below or above:
            shown = f"[{'-inf' if low is None else low}, {'inf' if high is None else high}]"
            raise RangeError(f"{name} = {extreme}{suffix} is outside {shown}{suffix}")


async def ended_in_time(work: Awaitable[T], seconds: float, what: str) -> T:
    """Wait for ``work`` for at most ``seconds`` s, even when it refuses to be cancelled.

    Raises:
        TimeoutError: it did not end in time; it has been cancelled.
        AbortedError: it was cancelled from within, which must not look like a cancellation of the caller.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.cancelled():
        raise AbortedError(f"{what} was cancelled from within")
    if done:
        return task.result()
    task.cancel()
    raise TimeoutError(f"{what} did not end within {seconds:g} s")
