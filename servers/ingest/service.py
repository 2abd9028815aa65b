"""The image ingest of a correlator image server: bodies of requests become sub-bands of gulps."""

from __future__ import annotations

import asyncio
import functools
import hmac
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ConfigurationError, NotConnectedError
from devices.correlator.assembler import Assembler, Place, Refusal
from devices.correlator.nodes import IngestCounts, Node, Nodes
from devices.drivers.correlator_message import MessageName, Receipt
from devices.drivers.correlator_npy import ArrayError, BodyFormat, array_of, turn
from servers.ingest.bodies import Bodies
from servers.ingest.complaints import Complaints
from servers.ingest.connection import Connection
from servers.ingest.request import RequestError, RequestHead
from servers.ingest.settings import IngestSettings, Listening

log = logging.getLogger("diptych.ingest")

#: Threads that turn bodies into sub-bands (2 ms each); the loop of the device goes on meanwhile.
THREADS: Final = 2


class Receiving(Protocol):
    """What an ingest needs of a device; both may be others after the device was connected again."""

    @property
    def assembler(self) -> Assembler | None: ...

    @property
    def nodes(self) -> Nodes: ...


class IngestService:
    """Serves one device to correlator nodes, in the loop that it was started in.

    Attributes:
        endpoints: HOST:PORT of each address, once it was started.
    """

    def __init__(self, device: Receiving, settings: IngestSettings) -> None:
        self.endpoints: tuple[str, ...] = ()
        self._device, self._settings = device, settings
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._bodies: Bodies | None = None
        self._complaints = Complaints(log)

    @property
    def counts(self) -> IngestCounts:
        """Of the device, since it was made."""
        return self._device.nodes.counts

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen.

        Raises:
            NotConnectedError: the device does not assemble yet. ConfigurationError: an address cannot be listened on.
        """
        if self._device.assembler is None:
            raise NotConnectedError(f"{self._settings.name} takes no sub-bands yet")
        self._bodies = Bodies(self._settings.bodies, self._format(self._device.assembler).most_bytes)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ingest")
        try:
            for address in self._settings.listen:
                await self._listen(address)
        except BaseException:
            await self.stop()
            raise
        names = (server.sockets[0].getsockname() for server in self._servers)
        self.endpoints = tuple(f"{name[0]}:{name[1]}" for name in names)
        log.info("%s listens on %s", self._settings.name, ", ".join(self.endpoints))
        if not self._settings.token and any(not _is_local(each.host) for each in self._settings.listen):
            log.warning("%s: other hosts reach it, and no token is asked for", self._settings.name)

    async def stop(self) -> None:
        """Listen no more; requests that have not come whole are forgotten."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            await connection.stop()
        self._servers.clear()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    async def _listen(self, address: Listening) -> None:
        try:
            server = await asyncio.get_running_loop().create_server(
                functools.partial(self._connection, address.sub_band),
                address.host,
                address.port,
                backlog=self._settings.backlog,
            )
        except OSError as error:
            problem = f"cannot listen on {address.host}:{address.port}: {error.strerror or error}"
            raise ConfigurationError(self._settings.name, [problem]) from error
        self._servers.append(server)

    def _connection(self, sub_band: int | None) -> Connection:
        too_many = len(self._connections) >= self._settings.connections
        connection = Connection(self, self._settings, sub_band, too_many=too_many)
        self._connections.add(connection)
        return connection

    def gone(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def refused(self, connection: Connection, error: RequestError) -> None:
        self.counts.refused += 1
        self._complaints.tell(error.status, f"{connection.address}: {error.status}: {error}")

    async def receive(self, head: RequestHead, connection: Connection) -> Receipt:
        said = head.authorization.encode()
        if self._settings.token and not hmac.compare_digest(said, f"Bearer {self._settings.token}".encode()):
            raise RequestError(401, Receipt.INVALID, "a token is needed", ("WWW-Authenticate: Bearer",))
        try:
            name = MessageName.parse(head.target)
        except BadValueError as error:
            raise RequestError(400, Receipt.PARSE_ERROR, str(error)) from None
        bodies = self._bodies
        assert bodies is not None
        if head.length > bodies.nbytes:
            text = f"Content-Length = {head.length} byte; at most {bodies.nbytes} byte"
            raise RequestError(413, Receipt.DATASIZE_ERROR, text)
        try:
            async with asyncio.timeout(connection.time_left):
                buffer = await bodies.take()
        except TimeoutError:
            raise RequestError(
                503, Receipt.INVALID, f"{self._settings.bodies} sub-bands are received already"
            ) from None
        try:
            body = buffer[: head.length]
            await connection.read_into(body, expects=head.expects)
            return await self._message(name, body, connection)
        finally:
            bodies.give(buffer)

    async def _message(self, name: MessageName, body: memoryview, connection: Connection) -> Receipt:
        self.counts.messages += 1
        self.counts.nbytes += len(body)
        assembler = self._device.assembler
        if assembler is None:
            raise RequestError(503, Receipt.INVALID, "nothing is assembled now")
        channel = self._channel(name, connection, assembler)
        node = self._device.nodes[channel]
        node.seen(connection.address, name.isot)
        try:
            node.last_receipt = await self._store(name, channel, body, assembler, node)
        except RequestError as error:
            node.last_receipt = error.receipt
            raise
        return node.last_receipt

    def _channel(self, name: MessageName, connection: Connection, assembler: Assembler) -> int:
        channel = sub_band_of(name, connection.address, connection.sub_band, self._settings)
        if channel is None and self._settings.one_client:
            channel = assembler.next_channel(name.isot)
        if channel is None or channel >= assembler.shape.channels:
            self.counts.unknown += 1
            known = f"of {assembler.shape.channels}" if channel is not None else "told by nothing"
            text = f"sub-band {'' if channel is None else channel} {known}: {name.target()} of {connection.address}"
            raise RequestError(400, Receipt.INVALID, text)
        return channel

    async def _store(
        self, name: MessageName, channel: int, body: memoryview, assembler: Assembler, node: Node
    ) -> Receipt:
        try:
            array = array_of(body, self._format(assembler))
        except ArrayError as error:
            node.refused += 1
            raise RequestError(400, error.receipt, f"sub-band {channel}: {error}") from None
        place = assembler.reserve(name, channel)
        if place is Refusal.DUPLICATE:
            node.duplicate += 1
            return Receipt.ACCEPTED  # the node lost the answer, and is content with this one
        if place is Refusal.LATE:
            node.late += 1
            if assembler.policy.late == "drop":
                return Receipt.ACCEPTED
            raise RequestError(409, Receipt.INVALID, f"sub-band {channel} of {name.isot} is late: {place.value}")
        if isinstance(place, Refusal):
            node.refused += 1
            raise RequestError(503, Receipt.INVALID, f"sub-band {channel} of {name.isot}: {place.value}")
        await self._turn(array, place, assembler)
        self.counts.stored += 1
        node.took(len(body))
        return Receipt.ACCEPTED

    async def _turn(self, array: NDArray[np.generic], place: Place, assembler: Assembler) -> None:
        """Write a sub-band to its place, in a thread; it has ended when this ends, also when this is cancelled."""
        writing = asyncio.get_running_loop().run_in_executor(self._threads, turn, array, place.into)
        try:
            await asyncio.wait([writing])
        finally:
            if not writing.done():
                await asyncio.wait([writing])
            if writing.exception() is None:
                assembler.stored(place)
            else:
                assembler.failed(place)
        writing.result()

    def _format(self, assembler: Assembler) -> BodyFormat:
        shape = assembler.shape
        return BodyFormat(shape.size, shape.samples, self._settings.datasize, self._settings.header_bytes)


def sub_band_of(name: MessageName, address: str, of_port: int | None, settings: IngestSettings) -> int | None:
    """The sub-band of a message by the first thing that tells it; None: nothing does."""
    told = {
        "name": name.sub_band,
        "address": settings.addresses.get(address.removeprefix("::ffff:")),
        "port": of_port,
    }
    return next((told[source] for source in settings.order if told[source] is not None), None)


def _is_local(host: str) -> bool:
    return host in ("127.0.0.1", "::1", "localhost")
