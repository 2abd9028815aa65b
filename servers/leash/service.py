"""The leash: Saxsdog clients give a detector its commands over ZeroMQ."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import zmq
import zmq.asyncio

from devices.core.client import asked_by
from devices.core.errors import ConfigurationError, NotAllowedError
from servers.leash.commands import Commands
from servers.leash.curve_keys import ServerKeys
from servers.leash.feeder_link import follow_feeder
from servers.leash.key_check import check_keys, key_check_socket
from servers.leash.network_file import NetworkEntry
from servers.leash.reply import Reply, error_reply, error_text
from servers.leash.request import Limits, Request, RequestSchemaError, parse_request
from servers.leash.signature import Gatekeeper
from servers.leash.target import Target

log = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
#: What asks only, and is not logged.
QUESTIONS: Final = {"fileslist", "get", "getmergedata", "listdir", "mergestat", "plot", "plotdata", "stat"}
#: Messages that may wait for one client; more are dropped: a client that keeps to the protocol has one.
WAITING_MESSAGES: Final = 8


@dataclass(frozen=True)
class LeashSettings:
    """How a leash is served.

    Attributes:
        entry: its addresses, its secret, its name.
        bind: the address of this host that is listened on, with the port of the entry; 0.0.0.0 for all of them.
        curve: keys for an encrypted address beside the plain one; when both are the same, it is the only one.
        follow_feeder: whether the feeder of the entry is listened to.
        limits: what a message may hold.
        most_at_once: requests that are carried out at the same time; others wait.
        seconds: how long one may take, s; clients wait for 100 s.
        demand: raises NotAllowedError when another client has reserved the device.
    """

    entry: NetworkEntry
    bind: str = LOOPBACK
    curve: ServerKeys | None = None
    follow_feeder: bool = True
    limits: Limits = field(default_factory=Limits)
    most_at_once: int = 64
    seconds: float = 95.0
    demand: Callable[[str], None] = lambda what: None


class LeashService:
    """Serves one detector to Saxsdog clients, in the loop that it was started in.

    Each request is a task of its own: one that takes long delays none, and a client that went away blocks nothing.

    Attributes:
        endpoints: where it listens, once it was started: the plain address, then the encrypted one, as there are.
    """

    def __init__(self, target: Target, settings: LeashSettings) -> None:
        self.endpoints: tuple[str, ...] = ()
        self._target, self._settings = target, settings
        self._name = settings.entry.name
        self._gatekeeper = Gatekeeper(settings.entry.secret)
        self._commands = Commands(target)
        self._slots = asyncio.Semaphore(settings.most_at_once)
        self._context: zmq.asyncio.Context | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._answers: set[asyncio.Task[None]] = set()
        self._last_refusal = ""

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: an address is taken, or is none of this host.
        """
        self._context = zmq.asyncio.Context()
        entry, curve = self._settings.entry, self._settings.curve
        try:
            sockets = []
            if curve is None or curve.server != entry.server:
                sockets.append(self._listen(entry.server.at(self._settings.bind), None))
            if curve is not None:
                self._keep(check_keys(key_check_socket(self._context), curve.clients))
                sockets.append(self._listen(curve.server.at(self._settings.bind), curve))
        except BaseException:
            await self.stop()
            raise
        self.endpoints = tuple(socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in sockets)
        for socket in sockets:
            self._keep(self._serve(socket))
        if self._settings.follow_feeder:
            self._keep(follow_feeder(self._context, entry.feeder, self._target, self._name))
        log.info("leash %s listens on %s", self._name, ", ".join(self.endpoints))
        if self._settings.bind not in (LOOPBACK, "::1", "localhost") and len(self.endpoints) > (curve is not None):
            log.warning("leash %s: other hosts reach it, and what they say is signed, but not encrypted", self._name)

    async def stop(self) -> None:
        """Listen no more; requests that are being carried out are ended, and get no reply."""
        tasks = [*self._loops, *self._answers]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._loops.clear()
        context, self._context = self._context, None
        if context is not None:
            context.destroy(linger=0)

    def _keep(self, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(loop)
        task.add_done_callback(self._ended)
        self._loops.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("leash %s serves no longer: %s", self._name, error, exc_info=error)

    def _listen(self, address: str, curve: ServerKeys | None) -> zmq.asyncio.Socket:
        assert self._context is not None
        socket = self._context.socket(zmq.ROUTER)
        limits = self._settings.limits
        # Beyond these ZeroMQ itself hangs up, before the memory is taken.
        socket.maxmsgsize = 2 * max(limits.request, limits.attachment)
        socket.set_hwm(WAITING_MESSAGES)
        socket.setsockopt(zmq.IPV6, int("[" in address))
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if curve is not None:
            socket.curve_server = True
            socket.curve_secretkey = curve.secret.encode()
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            problem = f"cannot listen on {address}: {error.strerror}"
            raise ConfigurationError(f"leash {self._name}", [problem]) from error
        return socket

    async def _serve(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            frames = await socket.recv_multipart(copy=False)
            sizes = [len(frame) for frame in frames]
            if 0 not in sizes[:-1]:
                continue  # no delimiter: not of a client that waits for a reply
            begin = sizes.index(0) + 1
            envelope, parts = [frame.bytes for frame in frames[:begin]], [frame.bytes for frame in frames[begin:]]
            peer = str(frames[-1].get("Peer-Address"))
            del frames  # with the memory of its attachments
            await self._slots.acquire()
            task = asyncio.create_task(self._answer(socket, envelope, parts, peer))
            self._answers.add(task)
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("leash %s: a reply was lost: %s", self._name, error, exc_info=error)

    async def _answer(
        self, socket: zmq.asyncio.Socket, envelope: Sequence[bytes], parts: Sequence[bytes], peer: str
    ) -> None:
        reply = await self._reply(parts, peer)
        try:
            text = reply.text()
        except Exception as error:
            log.exception("leash %s: a reply cannot be spelled", self._name)
            text = error_reply("ServerError", error_text(error)).text()
        await socket.send_multipart([*envelope, text])

    async def _reply(self, parts: Sequence[bytes], peer: str) -> Reply:
        try:
            request = parse_request(parts, self._gatekeeper, self._settings.limits)
        except RequestSchemaError as error:
            return self._refusal(peer, "ValidationError in request", str(error))
        except NotAllowedError as error:
            return self._refusal(peer, "AuthenticationError", str(error))
        except ValueError as error:
            return self._refusal(peer, "ValueError in request", str(error))
        except KeyError as error:
            return self._refusal(peer, "ServerError", str(error))
        with asked_by(f"leash {peer}"):
            reply = await self._carry_out(request)
        if request.command not in QUESTIONS:
            log.info("leash %s: %s of %s: %s", self._name, request.command, peer, reply.data.get("Error", reply.result))
        return reply

    async def _carry_out(self, request: Request) -> Reply:
        try:
            if request.command not in QUESTIONS:
                self._settings.demand(request.command)
            async with asyncio.timeout(self._settings.seconds):
                return await self._commands.run(request)
        except NotAllowedError as error:
            return error_reply("Error", error_text(error))
        except builtins.TimeoutError:
            text = f"TimeoutError: {request.command} has not ended within {self._settings.seconds:g} s"
            return error_reply("Error", text)

    def _refusal(self, peer: str, result: str, text: str) -> Reply:
        """The reply, and a line of the log unless it repeats the one before."""
        line = f"{peer}: {result}: {text}"
        log.log(logging.DEBUG if line == self._last_refusal else logging.WARNING, "leash %s: %s", self._name, line)
        self._last_refusal = line
        return error_reply(result, text)
