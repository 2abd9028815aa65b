"""What all parts of a simulated DCSS share: devices, who is online, broadcasts, what went wrong."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final

from devices.drivers.dcs_text import MAX_WORD, masked
from devices.simulators.dcss.database import Database, DcssDevice

log = logging.getLogger("diptych.simulators.dcss")

MESSAGES_KEPT: Final = 100_000
MOTOR_NOTICE_BYTES: Final = 200
#: They would be evaluated as Tcl by who receives them.
_EVIL: Final = str.maketrans(dict.fromkeys('[]$;\n"', " "))
_MOTOR_NOTICES: Final = re.compile(r"htos_(motor_move_\w+|update_motor_position|motor_correct_started)\b")


class HostClient(ABC):
    """A hardware server that has logged in."""

    name: str

    @abstractmethod
    def send(self, text: str) -> None:
        """Send it a message."""


class Dcss:
    """The middle of the simulated DCSS.

    Attributes:
        online: the hardware servers that have logged in.
        listeners: are called with each broadcast.
        violations: what a hardware server did that breaks the real DCSS or misleads its scripts, as texts.
        unrecognized: messages that DCSS does not know; it logs and ignores them.
        messages: (direction, name, text) of the hardware port, ``in`` to DCSS and ``out`` of it; the newest last.
        binaries: (operation, handle, bytes) that came behind operation messages.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.devices = database.devices
        self.online: dict[str, HostClient] = {}
        self.listeners: list[Callable[[str], None]] = []
        self.violations: list[str] = []
        self.unrecognized: list[str] = []
        self.messages: deque[tuple[str, str, str]] = deque(maxlen=MESSAGES_KEPT)
        self.binaries: deque[tuple[str, str, bytes]] = deque(maxlen=100)

    def broadcast(self, text: str) -> None:
        """Tell all clients, with the characters that DCSS lets pass."""
        passed = masked(text.translate(_EVIL))
        for listener in list(self.listeners):
            listener(passed)

    def to_host(self, name: str, text: str) -> bool:
        """Send to a hardware server; False: it is offline."""
        client = self.online.get(name)
        if client is None:
            return False
        self.messages.append(("out", name, text))
        client.send(text)
        return True

    def to_device(self, device: DcssDevice, text: str) -> str:
        """Send to the server of a device; the reason when it cannot be: ``no_hw_host_X``."""
        return "" if self.to_host(device.host, text) else f"no_hw_host_{device.host}"

    def violation(self, text: str) -> None:
        """Note what a hardware server must not do."""
        log.error("%s", text)
        self.violations.append(text)

    def check_buffers(self, host: str, text: str) -> None:
        """Note what would overrun a buffer of the real DCSS."""
        words = text.split()
        if words[0] == "htos_log":
            return
        # Names and status words are scanned into 80 bytes; the texts of operations and strings are not.
        scanned = 3 if words[0].startswith(("htos_operation", "htos_set_string")) else len(words)
        for word in words[:scanned]:
            if len(word) > MAX_WORD:
                self.violation(f"{host}: a word of {len(word)} byte overruns 80 byte: {text:.100}")
        if _MOTOR_NOTICES.match(text) and len(text) >= MOTOR_NOTICE_BYTES:
            self.violation(f"{host}: a motor notice of {len(text)} byte overruns 200 byte: {text:.100}")

    def joined(self, client: HostClient) -> None:
        """A hardware server has logged in: its devices are announced, and it to all."""
        name = client.name
        self.online[name] = client
        devices = self.database.of_host(name)
        for device in devices:
            self.to_host(name, f"stoh_{device.registration}")
        for device in devices:
            if dependencies := getattr(device, "dependencies", ()):
                self.to_host(name, f"stoh_set_motor_dependency {device.name} {' '.join(dependencies)}")
            if children := getattr(device, "children", ()):
                self.to_host(name, f"stoh_set_motor_children {device.name} {' '.join(children)}")
        self.broadcast(f"stog_configure_hardware_host {name} {self.database.hosts[name].computer} online")

    def left(self, client: HostClient) -> None:
        """A hardware server is gone."""
        if self.online.get(client.name) is not client:
            return
        del self.online[client.name]
        self.broadcast(
            f"stog_configure_hardware_host {client.name} {self.database.hosts[client.name].computer} offline"
        )
