"""The DAQ node: one configuration of sources at a time, the readers that stream, and the rules between them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from devices.core.errors import (
    AbortedError,
    BusyError,
    DiptychError,
    NotAllowedError,
    NotConnectedError,
    RangeError,
    reason,
)
from devices.daq.frame import Frame
from devices.daq.hub import Hub, Reader, Wanted
from devices.daq.sources.source import Source

log = logging.getLogger(__name__)

BEGIN_S: Final = 10.0  # until all sources see what comes
STOP_S: Final = 2.0
STALLED: Final = "Client timed out."
TOO_SLOW: Final = "Client is too slow:"


@dataclass(frozen=True)
class Acquisition:
    """A configuration of the node, as clients give it.

    Args:
        data_dir: where the recorder writes.
        interval_s: of clients that ask for the rhythm of the server.
        modules: empty: all.
        simulates: whether frames are made here.
    """

    data_dir: str
    interval_s: float
    modules: frozenset[int] = frozenset()
    simulates: bool = False


@dataclass(frozen=True)
class Limits:
    """What clients may do; the names and defaults are those of ``daq_data_server_config.json``."""

    max_concurrent_rpcs: int = 100
    max_read_queue_size: int = 4096
    min_hp_io_update_interval_seconds: float = 0.001
    max_client_update_interval_seconds: float = 60.0
    max_reader_enqueue_timeouts: int = 2
    max_reader_dequeue_timeouts: int = 3
    reader_timeout: float = 5.0


@dataclass(eq=False)
class Node:
    """Takes frames from sources to readers; in the device's loop.

    Args:
        sources: makes the sources of a configuration; raises DiptychError when it cannot.
        limits: what clients may do.
        check: asked before anything is changed; raises DiptychError when a configuration cannot be.
    """

    sources: Callable[[Acquisition, Callable[[Frame], None]], Sequence[Source]]
    limits: Limits = field(default_factory=Limits)
    check: Callable[[Acquisition], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.hub = Hub()
        self.acquisition: Acquisition | None = None
        self.problem = "not initialised"
        self.is_configuring = False
        self.is_stopping = False
        self._configuring = asyncio.Lock()
        self._uploading = asyncio.Lock()
        self.sources_in_use: Sequence[Source] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: dict[Reader, asyncio.Task[None]] = {}
        self._ends: dict[Reader, str] = {}

    @property
    def is_valid(self) -> bool:
        """Whether there is a configuration whose sources all run."""
        return self.acquisition is not None and not self.problem

    # Configuration ------------------------------------------------------------------------------------------------

    async def initialise(self, wanted: Acquisition, *, force: bool) -> None:
        """Take another configuration into use; calls queue behind each other.

        Raises:
            RangeError: the interval. NotAllowedError: clients stream, and ``force`` is not set.
            DiptychError: the sources cannot begin, and why; the configuration before is in use again.
        """
        if self.check is not None:
            await self.check(wanted)
        check_interval("update_interval_seconds", wanted.interval_s, self.limits)
        async with self._configuring:
            if self._streams and not force:
                peers = ", ".join(reader.peer for reader in self._streams)
                raise NotAllowedError(
                    f"Cannot modify server state: {len(self._streams)} clients are streaming: [{peers}]"
                )
            self.is_configuring = True
            try:
                await self._end_streams("cancel_reader_event set for")
                before = self.acquisition
                await self._stop_sources()
                try:
                    await self._begin(wanted)
                except DiptychError:
                    if before is not None:
                        with contextlib.suppress(DiptychError):
                            await self._begin(before)
                    raise
            finally:
                self.is_configuring = False

    async def stop(self) -> None:
        """End all streams and sources."""
        self.is_stopping = True
        await self._end_streams("server shutdown_event set for")
        await self._stop_sources()

    async def halt(self) -> None:
        """End the sources; streams wait for the next configuration, and there is none until then."""
        async with self._configuring:
            await self._end_streams("cancel_reader_event set for")
            await self._stop_sources()

    async def _begin(self, wanted: Acquisition) -> None:
        self.hub.forget()
        sources = self.sources(wanted, self.publish)
        if not sources:
            raise NotConnectedError("no source of frames is enabled")
        self.acquisition, self.problem, self.sources_in_use = wanted, "", sources
        self._tasks = [asyncio.create_task(self._keep(each), name=type(each).__name__) for each in sources]
        # No frame that comes after a client was told of success may be missed.
        ready = asyncio.create_task(_all_ready(sources))
        await asyncio.wait({ready, *self._tasks}, timeout=BEGIN_S, return_when=asyncio.FIRST_COMPLETED)
        is_ready = ready.done()
        ready.cancel()
        if self.problem or not is_ready:
            problem = self.problem or f"the sources of frames were not ready within {BEGIN_S:g} s"
            await self._stop_sources()
            raise NotConnectedError(problem)

    async def _keep(self, source: Source) -> None:
        try:
            await source.run()
        except DiptychError as error:
            self.problem = f"{type(source).__name__}: {reason(error)}: {error}"
            log.error("%s", self.problem)
        except Exception as error:
            self.problem = f"{type(source).__name__}: {type(error).__name__}: {error}"
            log.exception("a source of frames ended")

    async def _stop_sources(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        self.acquisition, self.problem, self.sources_in_use = None, "not initialised", ()

    def publish(self, frame: Frame) -> None:
        """A frame has come from a source; one of a module that is not wanted is left out."""
        acquisition = self.acquisition
        if acquisition is not None and (not acquisition.modules or frame.module in acquisition.modules):
            self.hub.publish(frame)

    # Readers ------------------------------------------------------------------------------------------------------

    def admit(self, wanted: Wanted, peer: str) -> Reader:
        """A reader for a client that may stream now.

        Raises:
            RangeError: what it asks for. BusyError: it should try again soon, or there are too many.
            AbortedError: the server ends. NotAllowedError: there is no valid configuration.
        """
        if not (wanted.movies or wanted.pulse_heights):
            raise RangeError("At least one stream flag must be True.")
        if math.isnan(wanted.interval_s) or wanted.interval_s > self.limits.max_client_update_interval_seconds:
            highest = self.limits.max_client_update_interval_seconds
            raise RangeError(f"update_interval_seconds = {wanted.interval_s} s is outside [.., {highest:g}] s")
        if self.is_stopping:
            raise AbortedError("server shutdown_event set")
        if self.is_configuring:
            raise ConfiguringError("Server is being configured, please try again soon.")
        if not self.is_valid:
            raise NotAllowedError("hp_io task is not valid.")
        if len(self._streams) >= self.limits.max_concurrent_rpcs:
            raise BusyError(f"Max clients ({self.limits.max_concurrent_rpcs}) reached.")
        assert self.acquisition is not None
        interval = wanted.interval_s if wanted.interval_s >= 0.0 else self.acquisition.interval_s
        asked = Wanted(wanted.movies, wanted.pulse_heights, wanted.modules, interval)
        return Reader(asked, self.limits.max_read_queue_size, peer)

    @contextlib.asynccontextmanager
    async def streaming(self, reader: Reader) -> AsyncIterator[None]:
        """While a client streams; AbortedError in the block when its stream has to end."""
        task = asyncio.current_task()
        assert task is not None
        self.hub.join(reader)
        self._streams[reader] = task
        watch = asyncio.create_task(self._watch(reader))
        try:
            yield
        except asyncio.CancelledError:
            why = self._ends.pop(reader, None)
            if why is None:
                raise
            task.uncancel()
            if why == STALLED:
                raise StalledError(why) from None
            if why == TOO_SLOW:
                raise BusyError(f"{why} {reader.dropped} frames were dropped.") from None
            raise AbortedError(f"{why} {reader.peer}") from None
        finally:
            watch.cancel()
            self.hub.leave(reader)
            self._streams.pop(reader, None)
            self._ends.pop(reader, None)

    async def _watch(self, reader: Reader) -> None:
        """End the stream of a client that takes nothing, or whose queue stays full."""
        limits = self.limits
        stalled_s = limits.reader_timeout * limits.max_reader_dequeue_timeouts
        full_s = limits.reader_timeout * limits.max_reader_enqueue_timeouts
        while True:
            await asyncio.sleep(min(stalled_s, full_s) / 4)
            now = time.monotonic()
            if reader.full_since is not None and now - reader.full_since > full_s:
                self._ends[reader] = TOO_SLOW
            elif reader.sending_since is not None and now - reader.sending_since > stalled_s:
                self._ends[reader] = STALLED
            else:
                continue
            self._streams[reader].cancel()
            return

    @property
    def readers(self) -> Sequence[Reader]:
        return list(self._streams)

    @contextlib.asynccontextmanager
    async def uploading(self) -> AsyncIterator[None]:
        """While a client uploads; one at a time, others wait. NotAllowedError before the first configuration."""
        async with self._uploading:
            if self.acquisition is None and not self.is_configuring:
                raise NotAllowedError("hp_io task is not valid: InitHpIo first")
            yield

    async def _end_streams(self, why: str) -> None:
        tasks = list(self._streams.values())
        for reader, task in self._streams.items():
            self._ends[reader] = why
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)


async def _all_ready(sources: Sequence[Source]) -> None:
    for source in sources:
        await source.ready.wait()


class StalledError(DiptychError):
    """A client takes no frames any more."""


class ConfiguringError(BusyError):
    """The node is being configured; a moment later it answers."""


def check_interval(name: str, seconds: float, limits: Limits) -> None:
    """Raises RangeError: an interval of the server is none, too short or too long."""
    if math.isnan(seconds) or seconds > limits.max_client_update_interval_seconds:
        raise RangeError(f"{name} = {seconds} s is outside [.., {limits.max_client_update_interval_seconds:g}] s")
    if seconds < limits.min_hp_io_update_interval_seconds:
        raise RangeError(f"{name} is below server minimum.")
