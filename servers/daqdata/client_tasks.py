"""Streams of several nodes as one, and uploads to them, for clients in asyncio: a task for each node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import grpc

from servers.daqdata.client_base import MAX_WAITING, RETRY_S, code_of, details_of, is_expected_end
from servers.daqdata.daq_data_pb2 import PanoImage, UploadImageRequest

#: Images that wait for a node which takes uploads more slowly than they are made.
MAX_UPLOADS_WAITING: Final = 64


class ImageStream:
    """The images of several nodes as they come, until all their streams have ended.

    Iterate it, or ``await`` it before: then nodes that are gone are told at once. It ends with ``aclose``, or when
    nobody holds it any more.

    Args:
        connect: what begins the call to each node, by host.
        images: what is made of a response: one image, or none.
        retry: whether a node that is UNAVAILABLE before its first response is asked again.
        stop: ends it once it is set.
    Raises:
        grpc.RpcError: a node refused; the streams of all nodes end.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Mapping[str, Callable[[], Any]]]],
        images: Callable[[bytes], Sequence[Any]],
        log: logging.Logger,
        *,
        retry: bool,
        stop: asyncio.Event | None,
    ) -> None:
        self._connect, self._images, self._log, self._retry, self._stop = connect, images, log, retry, stop
        self._waiting: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._running = 0
        self._has_begun = False

    def __await__(self) -> Generator[Any, None, Self]:
        return self._begin().__await__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await self._begin()
        while self._running:
            item = await self._waiting.get()
            if self._stop is not None and self._stop.is_set():
                break
            if item is None:
                self._running -= 1
            elif isinstance(item, bytes):
                for image in self._images(item):
                    return image
            else:
                await self.aclose()
                raise item
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the stream."""
        self._running, self._has_begun = 0, True
        self._cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __del__(self) -> None:
        if self._tasks and not self._tasks[0].get_loop().is_closed():
            self._cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _begin(self) -> Self:
        if not self._has_begun:
            openers = await self._connect()
            self._has_begun, self._running = True, len(openers)
            readers = [_Reader(*each, self._waiting, self._log, self._retry) for each in openers.items()]
            self._tasks = [asyncio.create_task(reader.run()) for reader in readers]
            if self._stop is not None:
                self._tasks.append(asyncio.create_task(_wake(self._stop, self._waiting)))
        return self


async def _wake(stop: asyncio.Event, waiting: asyncio.Queue[Any]) -> None:
    await stop.wait()
    await waiting.put(None)


@dataclass
class _Reader:
    """Puts the responses of one node into a queue, then None, or why it failed."""

    host: str
    opener: Callable[[], Any]
    into: asyncio.Queue[bytes | Exception | None]
    log: logging.Logger
    retry: bool
    has_images: bool = field(default=False, init=False)

    async def run(self) -> None:
        try:
            while await self._read():  # noqa: ASYNC110 - only asking tells that it is ready
                await asyncio.sleep(RETRY_S)
        except Exception as error:  # whoever takes from the queue raises it
            await self.into.put(error)
        else:
            await self.into.put(None)

    async def _read(self) -> bool:
        """Read one call to its end; whether it is worth another."""
        call = self.opener()
        try:
            async for data in call:
                self.has_images = True
                await self.into.put(data)
        except grpc.RpcError as error:
            if not is_expected_end(error):
                raise
            if self.retry and not self.has_images and code_of(error) is grpc.StatusCode.UNAVAILABLE:
                self.log.info("%s is not ready: %s", self.host, details_of(error))
                return True
            self.log.warning("the stream of %s ended: %s", self.host, details_of(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self.log.warning("the stream of %s ended: its channel was closed", self.host)
        finally:
            call.cancel()
        return False


async def upload_to_all(
    begin: Sequence[Callable[..., Any]], images: AsyncIterable[PanoImage] | Iterable[PanoImage]
) -> None:
    """Send images to several nodes, each all of them.

    Args:
        begin: begins the call to a node.
    Raises:
        grpc.RpcError: a node refused; the uploads to all end.
    """
    queues: list[asyncio.Queue[bytes | None]] = [asyncio.Queue(MAX_UPLOADS_WAITING) for _ in begin]
    calls = [each(_requests(waiting), wait_for_ready=True) for each, waiting in zip(begin, queues, strict=True)]
    answers = asyncio.gather(*calls)
    feeding = asyncio.create_task(_feed(images, queues))
    try:
        # A node that ends the upload ends the feeding, too: nobody would take from its queue.
        await asyncio.wait((answers, feeding), return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        await answers
    finally:
        feeding.cancel()
        for call in calls:
            call.cancel()
        await asyncio.gather(feeding, answers, return_exceptions=True)


async def _requests(waiting: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (request := await waiting.get()) is not None:
        yield request


async def _feed(
    images: AsyncIterable[PanoImage] | Iterable[PanoImage], queues: Sequence[asyncio.Queue[bytes | None]]
) -> None:
    async for image in _asynchronous(images):
        request = UploadImageRequest(pano_image=image).SerializeToString()
        for waiting in queues:
            await waiting.put(request)
    for waiting in queues:
        await waiting.put(None)


async def _asynchronous(images: AsyncIterable[PanoImage] | Iterable[PanoImage]) -> AsyncIterator[PanoImage]:
    if isinstance(images, AsyncIterable):
        async for image in images:
            yield image
    else:
        for image in images:
            yield image
