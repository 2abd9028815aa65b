"""Frames that a recorder sends over stream sockets of this machine, one socket for each data product.

A message is the number of the module, 16 bits, most significant byte first, and a frame as it stands in a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from devices.core.errors import BadValueError, BusyError, NotAllowedError, NotConnectedError, ProtocolError
from devices.daq.frame import Frame
from devices.daq.sources.source import Source
from devices.drivers.pff import PRODUCTS, Product, Splitter, product

MODULE_BYTES: Final = 2
RECEIVE_BYTES: Final = 1 << 20  # 412 frames: a recorder waits only when more have come while one was away
PLACEHOLDER: Final = "{dp_name}"


class UnixSockets(Source):
    """Every frame that comes over the sockets; any number of connections, silent ones too.

    Args:
        template: a path with ``{dp_name}``.
        products: names of data products.
        modules: empty: all.
        mode: who may connect, as permissions of the sockets.
    Raises:
        BadValueError: the path lacks its placeholder. UnknownNameError: a data product.
    """

    def __init__(
        self,
        publish: Callable[[Frame], None],
        template: str,
        *,
        products: Iterable[str] = tuple(PRODUCTS),
        modules: Iterable[int] = (),
        mode: int = 0o600,
    ) -> None:
        super().__init__(publish)
        if PLACEHOLDER not in template:
            raise BadValueError(f"socket_path_template = {template!r} has no {PLACEHOLDER}")
        self._paths = {product(name): Path(template.replace(PLACEHOLDER, name)) for name in products}
        self._modules = frozenset(modules)
        self._mode = mode
        self.connections: set[_Connection] = set()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            NotConnectedError: a socket cannot be made. NotAllowedError: something else has its name. BusyError: another
                process serves it.
        """
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for of, path in self._paths.items():
                listening = stack.enter_context(_bound(path, self._mode))
                server = await loop.create_unix_server(functools.partial(_Connection, self, of), sock=listening)
                stack.push_async_callback(self._end, server)
            self.ready.set()
            await asyncio.Event().wait()

    def counters(self) -> Mapping[str, int]:
        return {**super().counters(), "connections": len(self.connections)}

    def take(self, frame: Frame) -> None:
        """A frame has come over a connection."""
        if not self._modules or frame.module in self._modules:
            self._put(frame)

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        for connection in list(self.connections):
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, source: UnixSockets, of: Product) -> None:
        self._source = source
        self._name = f"uds_{of.name}"
        self._splitter = Splitter(of, MODULE_BYTES)
        self._count = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._source.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._source.connections.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        before = self._splitter.skipped
        for raw in self._splitter.feed(data):
            module = int.from_bytes(raw.prefix, "big")
            try:
                frame = Frame.of(raw, module, self._name, self._count)
            except ProtocolError:  # a header that is damaged within
                self._splitter.skipped += len(raw.bytes)
                continue
            self._count += 1
            self._source.take(frame)
        self._source.skipped_bytes += self._splitter.skipped - before


@contextlib.contextmanager
def _bound(path: Path, mode: int) -> Iterator[socket.socket]:
    """A socket that has its name and permissions and does not listen yet; the name goes when it ends."""
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        try:
            listening.bind(os.fspath(path))
            os.chmod(path, mode)  # nobody can connect before it listens
            made = os.lstat(path)
        except OSError as error:
            raise NotConnectedError(f"the socket {path} cannot be made: {error.strerror or error}") from error
        try:
            yield listening
        finally:
            with contextlib.suppress(FileNotFoundError):
                now = os.lstat(path)
                if (now.st_dev, now.st_ino) == (made.st_dev, made.st_ino):
                    path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove what an earlier process has left: a socket of this user that nobody serves, nothing else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotConnectedError(f"the socket {path} cannot be made: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise NotAllowedError(f"{path} exists and is no socket")
    if found.st_uid != os.geteuid():
        raise NotAllowedError(f"{path} is a socket of another user, number {found.st_uid}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.setblocking(False)
        try:
            trial.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:  # a full queue of connections: somebody serves it
            raise BusyError(f"the socket {path} is in use: {error.strerror}") from error
    raise BusyError(f"the socket {path} is in use by another process")
