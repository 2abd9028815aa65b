"""One Channel Access client: its TCP connection, channels and subscriptions.

caproto parses the bytes and keeps the state of the protocol (its sans-IO core); this class answers, without a task or a
queue per client. A client that does not read is paused, and gets the newest values when it reads again: memory stays
bounded, a final value is never missed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import caproto as ca
from caproto import AccessRights, CAStatus
from caproto._commands import Commands

from devices.core.errors import DiptychError, NotAllowedError, reason
from servers.epics.access import Client
from servers.epics.dbr import decode
from servers.epics.fields import View
from servers.epics.records import Reading

if TYPE_CHECKING:
    from servers.epics.ca import ChannelAccess

log = logging.getLogger(__name__)

HIGH_WATER, LOW_WATER = 1 << 20, 1 << 18  # bytes waiting to be read by a client
HEADER = struct.Struct(">HHHHII")
EXTENSION = struct.Struct(">II")
EVENT = 1  # CA_PROTO_EVENT_ADD
MAX_LEFT = 10_000  # sids that are remembered after their channels were disconnected
KNOWN = frozenset(Commands[ca.CLIENT])  # numbers of the messages that a client may send
READ_ONLY, READ_WRITE = AccessRights.READ, AccessRights.READ | AccessRights.WRITE


@dataclass(slots=True, eq=False)
class Subscription:
    """What one client wants to hear about one view."""

    circuit: Circuit
    number: int
    data_type: int
    count: int
    mask: int


@dataclass(slots=True)
class Channel:
    view: View
    core: Any  # caproto's ServerChannel
    rights: AccessRights


def event_header(subscription: Subscription, size: int, count: int) -> bytes:
    """What stands before the bytes of one monitor update (CA_PROTO_EVENT_ADD).

    Args:
        size: of what follows, a multiple of 8.

    Source:
        EPICS Channel Access Protocol Specification, "Message Structure": a size of 0xffff and a count of 0 announce a
        32-bit size and count.
    """
    if size < 0xFFFF and count < 0xFFFF:
        return HEADER.pack(EVENT, size, subscription.data_type, count, 1, subscription.number)
    extension = EXTENSION.pack(size, count)
    return HEADER.pack(EVENT, 0xFFFF, subscription.data_type, 0, 1, subscription.number) + extension


class Circuit(asyncio.Protocol):
    """The server's end of one connection; everything runs in the loop of the server."""

    def __init__(self, server: ChannelAccess) -> None:
        self.server = server
        self.channels: dict[int, Channel] = {}
        self.subscriptions: dict[int, tuple[View, Subscription]] = {}
        self._left: dict[int, None] = {}  # sids of channels that the server has disconnected, newest last
        self._stale: dict[int, None] = {}
        self._outbox: list[bytes] = []
        self._paused = False
        self._events_off = False
        self._client = Client("ca", "")
        self._answers: dict[type, Callable[[Any], None]] = {
            ca.VersionRequest: self._version,
            ca.SearchRequest: self._search,
            ca.HostNameRequest: self._host_name,
            ca.ClientNameRequest: self._client_name,
            ca.CreateChanRequest: self._create,
            ca.ReadNotifyRequest: self._read,
            ca.ReadRequest: self._read,
            ca.WriteNotifyRequest: self._write,
            ca.WriteRequest: self._write,
            ca.EventAddRequest: self._subscribe,
            ca.EventCancelRequest: self._unsubscribe,
            ca.EventsOnRequest: self._events_on,
            ca.EventsOffRequest: self._no_events,
            ca.ClearChannelRequest: self._clear,
            ca.EchoRequest: lambda _: self._reply(ca.EchoResponse()),
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # 40 ms of delay otherwise
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        peer = transport.get_extra_info("peername")
        self._core = ca.VirtualCircuit(ca.SERVER, peer, None)
        self._core.our_address = transport.get_extra_info("sockname")
        self._client = Client("ca", peer[0], peer[1])
        self.server.circuits.add(self)
        # As servers of EPICS base do. libca asks for the version only together with what it wants, and on a connection
        # that it made to search again (EPICS_CA_NAME_SERVERS) it wants nothing before it knows the version.
        transport.write(bytes(ca.VersionResponse(ca.DEFAULT_PROTOCOL_VERSION)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.circuits.discard(self)
        for view, subscription in self.subscriptions.values():
            self.server.unsubscribe(view, subscription)
        self.subscriptions.clear()
        self.channels.clear()

    def data_received(self, data: bytes) -> None:
        if self.channels and not self.server.may_serve():
            self.transport.abort()
            return
        try:
            commands, missing = self._core.recv(data)
            if missing:
                self._check_begun(missing)
            for command in commands:
                if getattr(command, "sid", None) in self._left:
                    continue  # it was on its way when the channel was disconnected; the client knows by now
                if isinstance(command, ca.VersionRequest) and self._core.priority is not None:
                    continue  # libca puts one before its searches, with a serial number where the priority was
                if isinstance(command, ca.ReadSyncRequest):  # an echo, of who does not know the version yet
                    self._outbox.append(bytes(command))
                    continue
                self._core.process_command(command)
                answer = self._answers.get(type(command))
                if answer is not None:
                    answer(command)
        except (ca.CaprotoError, LookupError, ValueError, UnicodeError) as error:
            log.warning("Channel Access client %s breaks the protocol, disconnected: %s", self._client, error)
            self.transport.abort()
        else:
            self.flush()

    def pause_writing(self) -> None:
        self._paused = True
        self.transport.pause_reading()  # a client that takes no answers is asked no questions

    def resume_writing(self) -> None:
        self._paused = False
        self.transport.resume_reading()
        self._send_stale()
        self.flush()

    def flush(self) -> None:
        """Send what was collected, as one write."""
        if self._outbox:
            data = b"".join(self._outbox)
            self._outbox.clear()
            if not self.transport.is_closing():
                self.transport.write(data)

    def update(self, subscription: Subscription, payload: bytes, count: int) -> None:
        """Queue a monitor update, or remember that one is due when the client cannot take it now."""
        if self._paused or self._events_off:
            self._stale[subscription.number] = None
            self.server.coalesced += 1
        else:
            payload = payload or bytes(8)  # an update without any byte would mean "cancelled"
            padding = bytes(-len(payload) % 8)
            header = event_header(subscription, len(payload) + len(padding), count)
            self._outbox += (header, payload, padding)
            if len(payload) > LOW_WATER:
                self.flush()  # large ones are not collected; this client may have to be paused now

    def disconnect(self, gone: Callable[[View], bool]) -> None:
        """Tell the client that some channels are no more; it will search for them again."""
        for sid, channel in list(self.channels.items()):
            if gone(channel.view):
                self._drop_subscriptions(sid)
                del self.channels[sid]
                self._left[sid] = None
                self._reply(channel.core.disconnect())
        while len(self._left) > MAX_LEFT:
            del self._left[next(iter(self._left))]
        self.flush()

    def refresh_rights(self) -> None:
        """Send the access rights that changed."""
        for channel in self.channels.values():
            rights = self._rights(channel.view)
            if rights != channel.rights:
                channel.rights = rights
                self._reply(ca.AccessRightsResponse(cid=channel.core.cid, access_rights=rights))
        self.flush()

    def _check_begun(self, missing: int) -> None:
        """Do not wait for the rest of a message that no client of this protocol sends."""
        begun = self._core._data
        if len(begun) >= HEADER.size and int.from_bytes(begun[:2], "big") not in KNOWN:
            raise ca.RemoteProtocolError(f"unknown message {bytes(begun[:16])!r}")
        if missing > self.server.max_message:
            raise ca.RemoteProtocolError(f"a message of {missing} bytes is over {self.server.max_message}")

    def _reply(self, *commands: Any) -> None:
        self._outbox.extend(bytes(buffer) for buffer in self._core.send(*commands))

    def _rights(self, view: View) -> AccessRights:
        may_write = view.is_value and self.server.gate.may_write(view.record, self._client)
        return READ_WRITE if may_write else READ_ONLY

    def _version(self, command: Any) -> None:
        self._reply(ca.VersionResponse(ca.DEFAULT_PROTOCOL_VERSION))

    def _search(self, command: Any) -> None:
        if port := self.server.search(command.name):
            # Without an address libca comes back to the port that it asked, whatever this one is.
            address = None if port == self.server.port else self._core.our_address[0]
            self._reply(ca.SearchResponse(port, address, command.cid, ca.DEFAULT_PROTOCOL_VERSION))
        elif command.reply == ca.DO_REPLY:
            self._reply(ca.NotFoundResponse(version=ca.DEFAULT_PROTOCOL_VERSION, cid=command.cid))

    def _host_name(self, command: Any) -> None:
        client = self._client
        self._client = Client("ca", client.address, client.port, command.name, client.claimed_user)
        self.refresh_rights()

    def _client_name(self, command: Any) -> None:
        client = self._client
        self._client = Client("ca", client.address, client.port, client.claimed_host, command.name)
        self.refresh_rights()

    def _create(self, command: Any) -> None:
        view = self.server.view(command.name)
        if view is None:
            self._reply(ca.CreateChFailResponse(cid=command.cid))
            del self._core.channels[command.cid]  # the client may ask for the same one again
            return
        rights, sid = self._rights(view), self._core.new_channel_id()
        self._left.pop(sid, None)
        self.channels[sid] = Channel(view, self._core.channels[command.cid], rights)
        self._reply(
            ca.AccessRightsResponse(cid=command.cid, access_rights=rights),
            ca.CreateChanResponse(data_type=view.native, data_count=view.count, cid=command.cid, sid=sid),
        )

    def _read(self, command: Any) -> None:
        channel = self.channels[command.sid]
        view = channel.view
        payload, count = view.payload(command.data_type, command.data_count, view.record.reading)
        notify = isinstance(command, ca.ReadNotifyRequest)
        self._reply(
            channel.core.read(
                data=payload, data_type=command.data_type, data_count=count, ioid=command.ioid, notify=notify
            )
        )

    def _write(self, command: Any) -> None:
        channel = self.channels[command.sid]
        view, notify = channel.view, isinstance(command, ca.WriteNotifyRequest)
        try:
            if not view.is_value:
                raise NotAllowedError(f"{view.name} is read-only")
            raw = decode(command.data, command.data_type, view.record)
        except DiptychError as error:
            self._fail(command, channel, error)
            return
        put = self.server.gate.put(view.record, raw, self._client)
        outcome = put.done if notify else put.accepted
        outcome.add_done_callback(lambda done: self.server.call(self._answer_write, command, channel, notify, done))

    def _answer_write(self, command: Any, channel: Channel, notify: bool, outcome: Future[None]) -> None:
        if self.transport.is_closing() or command.sid not in self.channels:
            return
        error = outcome.exception()
        if error is not None:
            self._fail(command, channel, error)
        elif notify:
            self._reply(self._written(command, channel))
        self.flush()

    def _fail(self, command: Any, channel: Channel, error: BaseException) -> None:
        # The error message carries the reason: libca fails the put with it, caproto's command lines raise. caproto's
        # threading and asyncio clients overlook it and would wait for the reply until they give up, so that one comes
        # as well, with the same status; libca has ended the put by then and ignores it.
        status = CAStatus.ECA_NOWTACCESS if isinstance(error, NotAllowedError) else CAStatus.ECA_PUTFAIL
        text = f"{reason(error)}: {error}".encode()[:500]
        self._reply(ca.ErrorResponse(command, channel.core.cid, status=status, error_message=text))
        if isinstance(command, ca.WriteNotifyRequest):
            self._reply(self._written(command, channel, status))

    @staticmethod
    def _written(command: Any, channel: Channel, status: Any = CAStatus.ECA_NORMAL) -> Any:
        """The reply to a WRITE_NOTIFY."""
        return channel.core.write(
            ioid=command.ioid, data_type=command.data_type, data_count=command.data_count, status=status
        )

    def _subscribe(self, command: Any) -> None:
        view = self.channels[command.sid].view
        subscription = Subscription(
            self, command.subscriptionid, int(command.data_type), command.data_count, int(command.mask)
        )
        self.subscriptions[subscription.number] = (view, subscription)
        self._send(view, subscription, self.server.subscribe(view, subscription))

    def _unsubscribe(self, command: Any) -> None:
        view, subscription = self.subscriptions.pop(command.subscriptionid)
        self._stale.pop(command.subscriptionid, None)
        self.server.unsubscribe(view, subscription)
        core = self.channels[command.sid].core
        count = subscription.count or view.count
        self._reply(core.unsubscribe(command.subscriptionid, data_type=command.data_type, data_count=count))

    def _drop_subscriptions(self, sid: int) -> None:
        view = self.channels[sid].view
        for number, (subscribed, subscription) in list(self.subscriptions.items()):
            if subscribed is view:
                del self.subscriptions[number]
                self._stale.pop(number, None)
                self.server.unsubscribe(view, subscription)

    def _events_on(self, command: Any) -> None:
        self._events_off = False
        self._send_stale()

    def _no_events(self, command: Any) -> None:
        self._events_off = True

    def _send_stale(self) -> None:
        if self._events_off:
            return
        stale, self._stale = self._stale, {}
        for number in stale:
            view, subscription = self.subscriptions[number]
            self._send(view, subscription, self.server.newest(view))

    def _send(self, view: View, subscription: Subscription, reading: Reading) -> None:
        self.update(subscription, *view.payload(subscription.data_type, subscription.count, reading))

    def _clear(self, command: Any) -> None:
        self._drop_subscriptions(command.sid)
        self._reply(self.channels.pop(command.sid).core.clear())
