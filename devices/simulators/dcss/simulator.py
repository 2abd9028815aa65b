"""A DCSS to talk to.

async with DcssSimulator() as dcss:
    ... connect a hardware server to dcss.port ...
    await dcss.online("loop")
    run = await dcss.engine.completed(dcss.engine.start_operation("helloWorld"))
"""

from __future__ import annotations

from typing import Self

from devices.simulators.dcss.core import Dcss
from devices.simulators.dcss.database import Database
from devices.simulators.dcss.engine import Engine
from devices.simulators.dcss.gui_port import GuiPort
from devices.simulators.dcss.hardware_port import HardwarePort
from devices.simulators.dcss.inner_server import InnerServer


class DcssSimulator:
    """The simulated DCSS with its ports.

    Args:
        database: of hosts and devices; None: the built-in example.
        gui: whether the first message at the GUI port is of the ``new`` or the ``old`` core.
        staff: users who may redefine motors; empty: all.
        host: the address to listen at.
    Attributes:
        dcss: devices, violations, messages. hardware: the port with its faults. gui: the other port.
        engine: starts operations and moves.
    """

    def __init__(
        self,
        database: Database | None = None,
        *,
        gui: str = "new",
        staff: tuple[str, ...] = (),
        host: str = "127.0.0.1",
    ) -> None:
        self.dcss = Dcss(database or Database.read(None))
        self.engine = Engine(self.dcss)
        self.hardware = HardwarePort(self.dcss, host=host)
        self.gui = GuiPort(self.dcss, self.engine, core=gui, staff=staff, host=host)
        self._inner = [
            InnerServer(self.dcss, self.engine, host) for host in self.dcss.database.hosts.values() if host.simulated
        ]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0, gui_port: int = 0) -> None:
        """Listen; 0: any free port.

        Raises:
            OSError: a port is taken.
        """
        await self.hardware.start(port)
        await self.gui.start(gui_port)
        for each in self._inner:
            self.dcss.joined(each)

    async def stop(self) -> None:
        """Close everything."""
        for each in self._inner:
            each.close()
        await self.gui.stop()
        await self.hardware.stop()

    @property
    def port(self) -> int:
        """Of hardware servers."""
        return self.hardware.port

    @property
    def gui_port(self) -> int:
        """Of clients."""
        return self.gui.port

    @property
    def violations(self) -> list[str]:
        """What hardware servers did that they must not."""
        return self.dcss.violations

    async def online(self, name: str, seconds: float = 10.0) -> None:
        """Wait until a hardware server has logged in."""
        await self.engine.until(lambda: name in self.dcss.online, seconds, f"{name} online")

    async def offline(self, name: str, seconds: float = 10.0) -> None:
        """Wait until a hardware server is gone."""
        await self.engine.until(lambda: name not in self.dcss.online, seconds, f"{name} offline")
