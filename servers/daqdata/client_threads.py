"""Streams of several nodes as one, and uploads to them, for blocking clients: a thread for each node."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

import grpc

from servers.daqdata.client_base import MAX_WAITING, RETRY_S, code_of, details_of, is_expected_end

#: Images that wait for a node which takes uploads more slowly than they are made.
MAX_UPLOADS_WAITING: Final = 64
POLL_S: Final = 0.05


def merged(
    openers: Mapping[str, Callable[[], Any]], log: logging.Logger, *, retry: bool
) -> Generator[bytes, None, None]:
    """The responses of all nodes as they come, until all streams have ended.

    Args:
        openers: by host; each begins the call.
        retry: whether a node that is UNAVAILABLE before its first response is asked again.
    Raises:
        grpc.RpcError: a node refused; the streams of all nodes end.
    """
    waiting: queue.Queue[bytes | Exception | None] = queue.Queue(MAX_WAITING)
    readers = [_Reader(host, opener, waiting, log, retry) for host, opener in openers.items()]
    running = len(readers)
    for reader in readers:
        reader.start()
    try:
        while running:
            item = waiting.get()
            if item is None:
                running -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield item
    finally:
        for reader in readers:
            reader.cancel()
        for reader in readers:
            while reader.is_alive():  # it may wait for room in the queue
                _take(waiting)
                reader.join(POLL_S)


class _Reader(threading.Thread):
    """Puts the responses of one node into a queue, then None, or why it failed."""

    def __init__(
        self,
        host: str,
        opener: Callable[[], Any],
        into: queue.Queue[bytes | Exception | None],
        log: logging.Logger,
        retry: bool,
    ) -> None:
        super().__init__(name=f"images of {host}", daemon=True)
        self._host, self._opener, self._into, self._log, self._retry = host, opener, into, log, retry
        self._cancelled = threading.Event()
        self._call: Any = None

    def cancel(self) -> None:
        """End soon; what is read until then is put into the queue still."""
        self._cancelled.set()
        if self._call is not None:
            self._call.cancel()

    def run(self) -> None:
        try:
            while self._read():
                self._cancelled.wait(RETRY_S)
        except Exception as error:  # whoever takes from the queue raises it
            self._into.put(error)
        else:
            self._into.put(None)

    def _read(self) -> bool:
        """Read one call to its end; whether it is worth another."""
        if self._cancelled.is_set():
            return False
        is_first = True
        self._call = self._opener()
        if self._cancelled.is_set():  # meanwhile
            self._call.cancel()
        try:
            for data in self._call:
                is_first = False
                self._into.put(data)
        except grpc.RpcError as error:
            if self._cancelled.is_set():
                return False
            if not is_expected_end(error):
                raise
            if self._retry and is_first and code_of(error) is grpc.StatusCode.UNAVAILABLE:
                self._log.info("%s is not ready: %s", self._host, details_of(error))
                return True
            self._log.warning("the stream of %s ended: %s", self._host, details_of(error))
        return False


class Upload:
    """Requests on their way to one node."""

    def __init__(self, begin: Any) -> None:
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MAX_UPLOADS_WAITING)
        self.call = begin.future(iter(self._waiting.get, None), wait_for_ready=True)

    def put(self, request: bytes | None) -> None:
        """Send a request, or None: that was all.

        Raises:
            grpc.RpcError: the node has ended the upload.
        """
        while True:
            if self.call.done():
                self.call.result()
                return
            try:
                self._waiting.put(request, timeout=POLL_S)
            except queue.Full:
                continue
            return

    def cancel(self) -> None:
        """End it, unless it has ended."""
        self.call.cancel()
        _take(self._waiting)
        self._waiting.put(None)  # for the thread of grpc that waits for the next request


def _take(waiting: queue.Queue[Any]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        pass
