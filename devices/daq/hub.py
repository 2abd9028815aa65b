"""Where frames of all sources meet the clients: each gets every frame that it asked for, or is told what it lost."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from devices.daq.frame import Frame, Key


@dataclass(frozen=True)
class Wanted:
    """What a client asks for.

    Args:
        modules: empty: all.
        interval_s: 0: every frame; more: the newest of each interval.
    """

    movies: bool
    pulse_heights: bool
    modules: frozenset[int] = frozenset()
    interval_s: float = 0.0

    def includes(self, frame: Frame) -> bool:
        kind = self.movies if frame.product.is_movie else self.pulse_heights
        return kind and (not self.modules or frame.module in self.modules)


@dataclass(eq=False)
class Reader:
    """The frames that wait for one client; all methods are for the hub's loop.

    Args:
        most: frames that wait at most, for each module, data product and quabo; more are dropped and counted.
    """

    wanted: Wanted
    most: int
    peer: str = ""
    sent: int = 0
    dropped: int = 0
    #: Since when its queue has been full, monotonic s; None while there is room.
    full_since: float | None = None
    #: Since when the client does not take a frame, monotonic s; None while nothing is on its way.
    sending_since: float | None = None
    began: float = field(default_factory=time.time)
    _queue: deque[Frame] = field(default_factory=deque)
    _waiting: Counter[Key] = field(default_factory=Counter)
    _newest: dict[Key, Frame] = field(default_factory=dict)
    _change: asyncio.Event = field(default_factory=asyncio.Event)
    _due: float = 0.0

    def offer(self, frame: Frame) -> None:
        """A frame has come."""
        if not self.wanted.includes(frame):
            return
        key = frame.key
        if self.wanted.interval_s > 0.0:
            self._newest[key] = frame
        elif self._waiting[key] >= self.most:
            self.dropped += 1
            if self.full_since is None:
                self.full_since = time.monotonic()
            return
        else:
            self._waiting[key] += 1
            self._queue.append(frame)
        self._change.set()

    async def take(self) -> list[Frame]:
        """The frames to be sent now, at least one, in the order in which they came."""
        if self.wanted.interval_s > 0.0:
            return await self._take_newest()
        while not self._queue:
            self._change.clear()
            await self._change.wait()
        frames = list(self._queue)
        self._queue.clear()
        return frames

    def sent_one(self, frame: Frame) -> None:
        """A frame that was taken is on its way."""
        self.sent += 1
        if self.wanted.interval_s <= 0.0:
            self._waiting[frame.key] -= 1
            self.full_since = None

    async def _take_newest(self) -> list[Frame]:
        while True:
            pause = self._due - time.monotonic()
            if pause > 0.0:
                await asyncio.sleep(pause)
            if self._newest:
                break
            self._change.clear()
            await self._change.wait()
        # The rhythm is kept as long as frames come; it begins anew after a silence.
        now = time.monotonic()
        behind = now - self._due
        interval = self.wanted.interval_s
        keeps_rhythm = behind < 10 * interval
        self._due = self._due + interval * math.floor(behind / interval + 1.0) if keeps_rhythm else now + interval
        frames = sorted(self._newest.values(), key=lambda frame: frame.received_ns)
        self._newest.clear()
        return frames


@dataclass
class Flow:
    """What has come of one kind: frames, and when the newest came, s since 1970."""

    count: int = 0
    newest: Frame | None = None
    times: deque[float] = field(default_factory=lambda: deque(maxlen=256))

    def rate(self, now: float, seconds: float = 5.0) -> float:
        """Frames a second lately."""
        recent = [each for each in self.times if each > now - seconds]
        if len(recent) == self.times.maxlen:  # more than are kept: over the time that they span
            return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-6)
        return len(recent) / seconds


class Hub:
    """Takes frames from sources and gives them to readers, in one loop."""

    def __init__(self) -> None:
        self.flows: dict[Key, Flow] = {}
        self.readers: set[Reader] = set()
        self.dropped = 0  # by readers that have left
        self._listeners: list[Callable[[Frame], None]] = []

    def publish(self, frame: Frame) -> None:
        """A frame has come from a source."""
        flow = self.flows.get(frame.key)
        if flow is None:
            flow = self.flows[frame.key] = Flow()
        flow.count += 1
        flow.newest = frame
        flow.times.append(frame.received_ns / 1e9)
        for reader in self.readers:
            reader.offer(frame)
        for listener in self._listeners:
            listener(frame)

    def listen(self, listener: Callable[[Frame], None]) -> None:
        """Have every frame, at once, in the loop; what it raises is for the source."""
        self._listeners.append(listener)

    def join(self, reader: Reader) -> None:
        self.readers.add(reader)

    def leave(self, reader: Reader) -> None:
        self.readers.discard(reader)
        self.dropped += reader.dropped

    def forget(self) -> None:
        """Another configuration: nothing of before is the newest any more."""
        self.flows.clear()

    @property
    def modules(self) -> list[int]:
        return sorted({key.module for key in self.flows})

    def all_dropped(self) -> int:
        return self.dropped + sum(reader.dropped for reader in self.readers)
