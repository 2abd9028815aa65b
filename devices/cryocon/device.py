"""The CryoCon device: a Cryo-con 22C, 24C or 24 temperature controller, or an 18i monitor."""

from __future__ import annotations

from typing import Annotated, ClassVar

from devices.core import Argument, attribute, command
from devices.core.errors import BadValueError, ConfigurationError, RangeError, RefusedError
from devices.cryocon.input import SensorInput
from devices.cryocon.loop import AnalogLoop, HeaterLoop
from devices.cryocon.polling import Polling
from devices.cryocon.relay import AlarmRelay
from devices.cryocon.storage import Storage
from devices.cryocon.system import System
from devices.cryocon.tuning import Tuning
from devices.drivers.cryocon import CryoConDriver
from devices.drivers.cryocon_models import MODELS, LoopKind, Model

#: Attributes and commands that a monitor without loops has not.
OF_CONTROLLERS = (
    *("control", "control_on", "control_off", "auto_tune", "read_pid_table", "write_pid_table", "list_pid_tables"),
    *("overtemperature_enabled", "overtemperature_source", "overtemperature_limit", "heat_sink"),
)

Text = Annotated[str, Argument(text_limit=255)]


class CryoCon(System, Storage, Tuning, Polling):
    """A Cryo-con temperature controller (22C, 24C, 24) or monitor (18i), over TCP, UDP or a serial line.

    A restart adopts what the instrument holds and never moves a heater. Temperatures are in the instrument's display
    units, and the unit of every attribute follows them.
    """

    #: Devices whose ``init_commands`` this process has sent: the Tango command Init must not write to the hardware.
    _initialised: ClassVar[set[str]] = set()

    description = attribute(str, doc="What this instrument cools", text_limit=200)
    identity = attribute(str, doc="Model, serial number and firmware, as it says itself", text_limit=200)

    def build(self) -> None:
        super().build()
        model = MODELS[self.properties.model]
        letters, numbers = self._in_use(model)
        self.driver = CryoConDriver(
            self.properties.link, timeout=self.properties.timeout, spacing=self.properties.spacing
        )
        self.inputs = self.parts(SensorInput, [letter.lower() for letter in letters])
        heaters = [str(number) for number in numbers if model.loops[number].kind is LoopKind.HEATER]
        analog = [str(number) for number in numbers if model.loops[number].kind is LoopKind.ANALOG]
        self.loops = {**self.parts(HeaterLoop, heaters), **self.parts(AnalogLoop, analog)}
        self.relays = self.parts(AlarmRelay, map(str, model.relays))
        if not model.controls:
            self.without(*OF_CONTROLLERS)
        self.description.publish(self.properties.description or f"Cryo-con {model.name}")
        self.start_polls()

    def _in_use(self, model: Model) -> tuple[list[str], list[int]]:
        letters, numbers = self.properties.used_inputs, self.properties.used_loops
        inputs, loops = ", ".join(model.inputs), ", ".join(map(str, model.loops)) or "nothing: it has no loops"
        problems = [f"used_inputs = {one}: none of {inputs}" for one in letters if one not in model.inputs]
        problems += [f"used_loops = {one}: none of {loops}" for one in numbers if one not in model.loops]
        if problems:
            raise ConfigurationError(self.name, problems)
        return sorted(set(letters or model.inputs)), sorted(set(numbers or model.loops))

    async def connect(self) -> None:
        identity = await self.driver.connect()
        expected = self.properties.model
        if self.driver.model.name != expected:
            raise ConfigurationError(
                self.properties.link, [f"a {self.driver.model.name} answers, the property model says {expected}"]
            )
        self.identity.publish(
            f"{identity.maker} {identity.model}, serial {identity.serial}, firmware {identity.firmware}"
        )
        self.unread.update(self.components)
        if self.name not in self._initialised:
            await self._initialise()
            self._initialised.add(self.name)

    async def disconnect(self) -> None:
        await self.driver.close()

    async def _initialise(self) -> str:
        """Send the ``init_commands``; the text of those that were refused."""
        problems = []
        for text in self.properties.init_commands:
            try:
                await self.driver.command(text)
            except (RefusedError, BadValueError, RangeError) as error:
                problems.append(f"init_commands: {error}")
        self.unread.update(self.components)
        # A wrong line must not keep the link from coming up, and every temperature from being seen.
        self.set_fault("init_commands", "\n".join(problems))
        return "\n".join(problems)

    @command(dangerous=True)
    async def control_on(self) -> None:
        """Put all loops into control: heaters may go on."""
        self.control.publish(await self.driver.control_on())
        self.show_control()
        if not self.control.value:
            raise RefusedError("control stays off: an over-temperature or another interlock prevents it")

    @command(stops=True)
    async def control_off(self) -> None:
        """Take all loops out of control: heaters go off."""
        self.control.publish(await self.driver.control_off())
        self.show_control()

    @command(level="expert")
    async def send_init_commands(self) -> None:
        """Send the commands of the property ``init_commands`` again."""
        problems = await self._initialise()
        if problems:
            raise RefusedError(problems)

    @command(level="expert", dangerous=True)
    async def send(self, text: Text) -> None:
        """Send any command to the instrument, e.g. ``input A:units C``."""
        await self.driver.command(text)
        self.unread.update(self.components)

    @command(level="expert")
    async def query(self, text: Text) -> str:
        """Ask the instrument anything, e.g. ``input? A``."""
        return await self.driver.query(text)
