"""The port for clients (Blu-Ice) of a simulated DCSS: logins, one master, what they hear."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Final

from devices.core.errors import ProtocolError
from devices.drivers import tcl_list
from devices.drivers.xos import XosDecoder, encode_frame, encode_login
from devices.simulators.dcss.core import Dcss, log
from devices.simulators.dcss.database import Motor
from devices.simulators.dcss.engine import ENGINE_ID, Engine
from devices.simulators.dcss.gui_requests import GuiRequests

#: A client that leaves so much unread is cut.
UNREAD_BYTES: Final = 512 * 1024
LOGIN_S: Final = 1.0


@dataclass(frozen=True)
class Person:
    """Who a client says it is."""

    user: str
    session: str
    host: str
    display: str
    is_staff: bool


class GuiPort:
    """Listens for clients.

    Args:
        core: ``new``: the first message is of the second protocol and has the client's number; ``old``: 200 bytes.
        staff: users who may redefine devices; empty: all.
    Attributes:
        clients: by number, those that have logged in. master: the number of the active one; 0: nobody.
    """

    def __init__(
        self, dcss: Dcss, engine: Engine, *, core: str = "new", staff: tuple[str, ...] = (), host: str = "127.0.0.1"
    ) -> None:
        self.dcss, self.engine, self.core, self.staff = dcss, engine, core, staff
        self.clients: dict[int, GuiConnection] = {}
        self.connections: set[GuiConnection] = set()
        self.master = 0
        self.port = 0
        self._host, self._last_id = host, ENGINE_ID
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listen; 0: any port."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: GuiConnection(self), self._host, port or self.port
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.end()
        await asyncio.sleep(0)

    def next_id(self) -> int:
        """The number of a new client."""
        self._last_id += 1
        return self._last_id

    def client_list(self) -> list[str]:
        """The messages that tell all clients of all."""
        lines = [f"stog_update_client_list {len(self.clients)}"]
        for number, client in self.clients.items():
            person = client.person
            assert person is not None
            lines.append(
                f"stog_update_client {number} {person.user} {{{person.user}}} {{local}} {{}} {int(person.is_staff)} 1 "
                f"{person.host} {{local}} {int(number == self.master)} {int(number == self.master)}"
            )
        return lines

    def tell_clients(self) -> None:
        """Tell all that somebody came, left, or became master."""
        for line in self.client_list():
            self.dcss.broadcast(line)


class GuiConnection(asyncio.Protocol):
    """One client."""

    _transport: asyncio.Transport

    def __init__(self, port: GuiPort) -> None:
        self._port = port
        self._decoder = XosDecoder(protocol=2)
        self._requests = GuiRequests(port.dcss, port.engine, self)
        self._deadline: asyncio.TimerHandle | None = None
        self.id = 0
        self.person: Person | None = None

    @property
    def is_master(self) -> bool:
        """Whether it is the active one."""
        return self._port.master == self.id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port.connections.add(self)
        self.id = self._port.next_id()
        ask = "stoc_send_client_type"
        transport.write(encode_frame(f"{ask} {self.id}") if self._port.core == "new" else encode_login(ask))
        self._deadline = asyncio.get_running_loop().call_later(LOGIN_S, self.end)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if self.person is None:
                    self._log_in(frame.text)
                elif frame.text:
                    self._take(frame.text)
        except ProtocolError as error:
            log.warning("client %d: %s", self.id, error)
            self.end()

    def eof_received(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        port = self._port
        port.connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.person is None:
            return
        port.dcss.listeners.remove(self.send)
        port.clients.pop(self.id, None)
        if self.is_master:
            port.master = 0
        port.tell_clients()

    def send(self, text: str) -> None:
        """Tell this client."""
        if self._transport.is_closing():
            return
        self._transport.write(encode_frame(text))
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            log.warning("client %d is slow and cut", self.id)
            self._transport.abort()

    def end(self) -> None:
        """Hang up."""
        self._transport.close()

    def become_master(self, how: str) -> None:
        """Make this client the active one; ``noforce``: unless there is another."""
        port = self._port
        other = port.clients.get(port.master)
        if other is not None and other is not self:
            if how != "force":
                self.send("stog_other_master")
                return
            other.send("stog_become_slave")
        port.master = self.id
        self.send("stog_become_master")
        port.tell_clients()

    def become_slave(self) -> None:
        """Make this client a passive one."""
        if self.is_master:
            self._port.master = 0
        self.send("stog_become_slave")
        self._port.tell_clients()

    def tell_clients(self) -> None:
        """Tell this client who is there."""
        for line in self._port.client_list():
            self.send(line)

    def _take(self, text: str) -> None:
        try:
            self._requests.take(text)
        except (ValueError, IndexError, KeyError) as error:
            self.send(f"stog_log error server {text:.80}: {error}")

    def _log_in(self, text: str) -> None:
        assert self._deadline is not None
        self._deadline.cancel()
        words = text.split()
        address = str(self._transport.get_extra_info("peername")[0])
        names = {address, "localhost", socket.gethostname(), socket.getfqdn()}
        if len(words) < 5 or words[0] != "gtos_client_is_gui" or words[3] not in names:
            self.send(f"stog_authentication_failed {self.id}")
            self.end()
            return
        port = self._port
        self.person = Person(words[1], words[2], words[3], words[4], not port.staff or words[1] in port.staff)
        port.clients[self.id] = self
        self.send(f"stog_login_complete {self.id}")
        self.send(f"stog_set_permission_level {int(self.person.is_staff)} 1 LOCAL")
        self._tell_all()
        port.dcss.listeners.append(self.send)
        port.tell_clients()

    def _tell_all(self) -> None:
        dcss = self._port.dcss
        self.tell_clients()
        for host in dcss.database.hosts.values():
            line = "online" if host.name in dcss.online else "offline"
            self.send(f"stog_configure_hardware_host {host.name} {host.computer} {line}")
        for device in dcss.devices.values():
            if device.configuration:
                self.send(f"stog_{device.configuration}")
                self.send(f"stog_device_permission_bit {device.name} {{1 1 1 1 1}} {{1 1 1 1 1}}")
        for motor in dcss.devices.values():
            if isinstance(motor, Motor):
                self.send(f"stog_set_motor_base_units {motor.name} {motor.units}")
                self.send(f"stog_set_motor_dependency {motor.name} {tcl_list.join(motor.dependencies)}".rstrip())
                if motor.children:
                    self.send(f"stog_set_motor_children {motor.name} {tcl_list.join(motor.children)}")
        self.send("stog_dcss_end_update_all_device")
