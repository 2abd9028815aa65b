"""One connection of an EPICS client, by three programs: p4p, libca (pyepics), and plain sockets with caproto's core."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tests.soak.witness import Witness

INVALID = 3
CA_LINK = 14  # alarm status of Channel Access
PVA_LINK = 2  # alarm_t.status: driver; the mirror has LINK and COMM there
CALL_TIMEOUT = 20.0  # s
Value = float | str | np.ndarray[Any, Any]


class Link(Protocol):
    """A client: what fails raises."""

    has_images: bool

    def subscribe(self, witnesses: Sequence[Witness]) -> None: ...

    def get(self, pv: str) -> Value: ...

    def put(self, pv: str, value: float) -> None:
        """Put with completion."""

    def rest(self, seconds: float) -> None: ...

    def close(self, *, abruptly: bool) -> None: ...


class PvaLink:
    """p4p."""

    has_images = True

    def __init__(self) -> None:
        from p4p.client.thread import Context

        self._context = Context("pva", nt=False)
        self._monitors: list[Any] = []

    def subscribe(self, witnesses: Sequence[Witness]) -> None:
        self._monitors += [self._monitor(witness) for witness in witnesses]

    def _monitor(self, witness: Witness) -> Any:
        from p4p.client.raw import Context

        made: list[Any] = []
        turn = threading.Lock()

        def arrived() -> None:
            with turn:
                while made and (update := made[0].pop()) is not None:
                    if not isinstance(update, Exception):
                        _witness_pva(witness, update)

        # The thread context's own monitor loses updates that come before it has returned (p4p 4.3).
        made.append(Context.monitor(self._context, witness.pv, arrived))
        arrived()
        return made[0]

    def get(self, pv: str) -> Value:
        return _of_pva(self._context.get(pv, timeout=CALL_TIMEOUT))

    def put(self, pv: str, value: float) -> None:
        self._context.put(pv, value, wait=True, timeout=CALL_TIMEOUT)

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self, *, abruptly: bool) -> None:
        if not abruptly:
            for monitor in self._monitors:
                monitor.close()
        self._context.close()


def _witness_pva(witness: Witness, update: Any) -> None:
    severity, is_link = None, False
    if update.changed("alarm"):
        severity = int(update["alarm.severity"])
        is_link = severity == INVALID and update["alarm.status"] == PVA_LINK
    witness.take(_of_pva(update) if update.changed("value") else None, severity, is_link=is_link)


def _of_pva(update: Any) -> Value:
    value = update["value"]
    return value if isinstance(value, str | np.ndarray) else float(value)


class LibcaLink:
    """pyepics; one at a time in a process, as one context of libca has one connection to a server."""

    has_images = True

    def __init__(self) -> None:
        from epics import ca

        self._ca = ca
        ca.use_initial_context() if ca.initial_context else ca.create_context()
        self._channels: dict[str, Any] = {}
        self._events: list[Any] = []

    def subscribe(self, witnesses: Sequence[Witness]) -> None:
        for witness in witnesses:  # all searches begin before the first answer is waited for
            self._channels[witness.pv] = self._ca.create_channel(witness.pv)
        self._events += [self._monitor(witness) for witness in witnesses]

    def _monitor(self, witness: Witness) -> Any:
        def arrived(value: Any, severity: int, status: int, **_: Any) -> None:
            is_link = (severity, status) == (INVALID, CA_LINK)
            witness.take(_of_ca(value, is_text=witness.pv.endswith(":Text")), severity, is_link=is_link)

        channel = self._channel(witness.pv)
        mask = self._ca.dbr.DBE_VALUE | self._ca.dbr.DBE_ALARM
        return self._ca.create_subscription(channel, callback=arrived, use_time=True, mask=mask)

    def get(self, pv: str) -> Value:
        value = self._ca.get(self._channel(pv), timeout=CALL_TIMEOUT)
        if value is None:
            raise TimeoutError(f"{pv}: no answer within {CALL_TIMEOUT} s")
        return _of_ca(value, is_text=pv.endswith(":Text"))

    def put(self, pv: str, value: float) -> None:
        if self._ca.put(self._channel(pv), value, wait=True, timeout=CALL_TIMEOUT) < 0:
            raise TimeoutError(f"{pv}: no completion within {CALL_TIMEOUT} s")

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self, *, abruptly: bool) -> None:
        if not abruptly:
            for *_, event in self._events:
                self._ca.clear_subscription(event)
        for channel in self._channels.values():
            self._ca.clear_channel(channel)
        self._ca.flush_io()

    def _channel(self, pv: str) -> Any:
        if pv not in self._channels:
            self._channels[pv] = self._ca.create_channel(pv)
        if not self._ca.connect_channel(self._channels[pv], timeout=CALL_TIMEOUT):
            raise TimeoutError(f"{pv} is not found within {CALL_TIMEOUT} s")
        return self._channels[pv]


def _of_ca(value: Any, *, is_text: bool) -> Value:
    if is_text:
        return bytes(np.asarray(value, np.uint8)).rstrip(b"\0").decode()
    if isinstance(value, np.ndarray | list | tuple) and len(value) != 1:
        return np.asarray(value)
    return float(np.asarray(value).flat[0])


class SocketLink:
    """caproto's protocol core; its end is a reset of the connection when it is abrupt, maybe within a message."""

    has_images = False  # they have another port, which is found by a search

    def __init__(self) -> None:
        import caproto

        from tests.epics.raw_client import RawClient

        self._caproto = caproto
        self._client = RawClient(int(os.environ["EPICS_CA_SERVER_PORT"]))
        self._client.socket.settimeout(CALL_TIMEOUT)
        self._channels: dict[str, Any] = {}
        self._witnesses: dict[int, Witness] = {}

    def subscribe(self, witnesses: Sequence[Witness]) -> None:
        for witness in witnesses:
            channel = self._channel(witness.pv)
            kind = self._caproto.ChannelType[f"TIME_{channel.native_data_type.name}"]
            mask = self._caproto.SubscriptionType.DBE_VALUE | self._caproto.SubscriptionType.DBE_ALARM
            request = channel.subscribe(data_type=kind, data_count=0, mask=mask)
            self._witnesses[request.subscriptionid] = witness
            self._client.send(request)

    def get(self, pv: str) -> Value:
        answer = self._client.read(self._channel(pv))
        self._deliver()
        return _of_ca(answer.data, is_text=pv.endswith(":Text"))

    def put(self, pv: str, value: float) -> None:
        answer = self._client.put(self._channel(pv), np.array([value]), seconds=CALL_TIMEOUT)
        self._deliver()
        if isinstance(answer, self._caproto.ErrorResponse) or not answer.status.success:
            raise ConnectionError(f"{pv} = {value!r} was refused: {answer}")

    def rest(self, seconds: float) -> None:
        """Take updates meanwhile."""
        client, deadline = self._client, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            client.socket.settimeout(left)
            try:
                received, _ = client.circuit.recv(client.socket.recv(65536))
            except TimeoutError:
                break
            finally:
                client.socket.settimeout(CALL_TIMEOUT)
            for command in received:
                if command is self._caproto.DISCONNECTED:
                    raise ConnectionError("the mirror hung up")
                client.circuit.process_command(command)
                client.unread.append(command)
            self._deliver()

    def close(self, *, abruptly: bool) -> None:
        if abruptly:
            half = bytes(self._caproto.HostNameRequest("gone"))[:11]
            self._client.socket.sendall(half)
            self._client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.socket.close()

    def _deliver(self) -> None:
        unread, self._client.unread = self._client.unread, []
        for command in unread:
            if not isinstance(command, self._caproto.EventAddResponse):
                continue  # access rights of a channel: nothing changes them here
            witness, alarm = self._witnesses[command.subscriptionid], command.metadata
            value = _of_ca(command.data, is_text=witness.pv.endswith(":Text"))
            is_link = (int(alarm.severity), int(alarm.status)) == (INVALID, CA_LINK)
            witness.take(value, int(alarm.severity), is_link=is_link)

    def _channel(self, pv: str) -> Any:
        if pv not in self._channels:
            self._channels[pv] = self._client.channel(pv)
        return self._channels[pv]


LINKS: dict[str, type[PvaLink | LibcaLink | SocketLink]] = {"pva": PvaLink, "ca": LibcaLink, "socket": SocketLink}
