"""A Channel Access client that a test steers message by message; it uses caproto's protocol core and a plain socket."""

from __future__ import annotations

import socket
import time
from typing import Any

import caproto as ca


class RawClient:
    """One connection; ``host`` and ``user`` are what it claims."""

    def __init__(self, port: int, host: str = "console", user: str = "anna", receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(5.0)
        self.socket.connect(("127.0.0.1", port))
        self.circuit = ca.VirtualCircuit(ca.CLIENT, ("127.0.0.1", port), priority=0)
        self.unread: list[Any] = []
        self.send(ca.VersionRequest(priority=0, version=13), ca.HostNameRequest(host), ca.ClientNameRequest(user))
        for _ in ("the greeting", "the answer"):
            self.wait_for(ca.VersionResponse)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *commands: Any) -> None:
        self.socket.sendall(b"".join(bytes(buffer) for buffer in self.circuit.send(*commands)))

    def wait_for(self, *kinds: type, seconds: float = 5.0) -> Any:
        """The next message of one of these kinds; others are kept for later."""
        deadline = time.monotonic() + seconds
        while True:
            for index, command in enumerate(self.unread):
                if isinstance(command, kinds):
                    return self.unread.pop(index)
            assert time.monotonic() < deadline, f"no {kinds} within {seconds} s"
            received, _ = self.circuit.recv(self.socket.recv(65536))
            for command in received:
                if command is ca.DISCONNECTED:
                    raise ConnectionError("the server hung up")
                self.circuit.process_command(command)
                self.unread.append(command)

    def channel(self, name: str) -> Any:
        """A connected channel.

        Raises:
            LookupError: the server has no such name.
        """
        channel = ca.ClientChannel(name, self.circuit, self.circuit.new_channel_id())
        self.send(channel.create())
        if isinstance(self.wait_for(ca.CreateChanResponse, ca.CreateChFailResponse), ca.CreateChFailResponse):
            raise LookupError(name)
        self.unread = [
            command
            for command in self.unread
            if not (isinstance(command, ca.AccessRightsResponse) and command.cid == channel.cid)
        ]
        return channel

    def read(self, name_or_channel: Any, data_type: Any = None, count: int = 0) -> Any:
        channel = self.channel(name_or_channel) if isinstance(name_or_channel, str) else name_or_channel
        self.send(channel.read(data_type=data_type, data_count=count))
        return self.wait_for(ca.ReadNotifyResponse)

    def put(self, name_or_channel: Any, data: Any, data_type: Any = None, seconds: float = 5.0) -> Any:
        """Put with completion; the answer is a WriteNotifyResponse or an ErrorResponse (one more follows that)."""
        channel = self.channel(name_or_channel) if isinstance(name_or_channel, str) else name_or_channel
        request = channel.write(data, data_type=data_type, notify=True)
        self.send(request)
        while True:
            answer = self.wait_for(ca.WriteNotifyResponse, ca.ErrorResponse, seconds=seconds)
            is_error = isinstance(answer, ca.ErrorResponse)
            if (answer.original_request.parameter2 if is_error else answer.ioid) == request.ioid:
                return answer

    def subscribe(self, channel: Any, data_type: Any = None, mask: int = 7) -> Any:
        """Subscribe and return the first update."""
        self.send(channel.subscribe(data_type=data_type, data_count=0, mask=mask))
        return self.update()

    def update(self, seconds: float = 5.0) -> Any:
        return self.wait_for(ca.EventAddResponse, seconds=seconds)
