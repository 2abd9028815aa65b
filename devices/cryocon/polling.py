"""How a CryoCon device asks its instrument: the temperatures often and at once, the settings in turn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from devices.core import DeviceState, LiveAttribute
from devices.core.errors import DiptychError, NotConnectedError, reason
from devices.core.poller import Troubles
from devices.cryocon.input import UNIT, SensorInput
from devices.cryocon.instrument import Instrument
from devices.cryocon.register import Registers, publish
from devices.drivers.cryocon_items import Query
from devices.drivers.cryocon_line import Turn
from devices.drivers.cryocon_protocol import Answer
from devices.drivers.cryocon_subsystems import Units

#: The first round through all settings pauses after this time, so that one poll never takes too long, s.
ROUND_SECONDS = 4.0


class Polling(Instrument):
    """The polls. Values and their display units change together."""

    def start_polls(self) -> None:
        """Add the polls; once all parts are built."""
        self._round = deque(self.components)
        self._units: dict[str, Units | None] = {}
        self._troubles = Troubles(self.log)
        self.add_poll(self.poll_values, self.properties.period, "temperatures and loops")
        self.add_poll(self.poll_settings, self.properties.settings_period / len(self._round), "settings")

    async def poll_values(self) -> None:
        """Temperatures, alarms, set points and outputs: one compound query."""
        if self.line_is_taken:
            return
        letters, numbers = [part.letter for part in self.inputs.values()], [int(key) for key in self.loops]
        found = await self.driver.poll(letters, numbers)
        for number, loop in found.loops.items():
            publish(self.loops[str(number)].source, loop.source, found.timestamp)
        changed = self._changed_units(found.units)
        if changed:
            # What is in a unit changes with it, or 325 K would be shown as 325 degC until its turn comes.
            pairs = [pair for component in changed for pair in self._registers(component, in_unit=True)]
            answers, timestamp = await self.driver.ask([query for _, query in pairs], Turn.POLL)
            found = await self.driver.poll(letters, numbers)
            for component, unit in changed.items():
                component.show(unit)
            for (live, _), answer in zip(pairs, answers, strict=True):
                publish(live, answer, timestamp)
        self._units = {letter: answer.value for letter, answer in found.units.items()}
        for letter, snapshot in found.inputs.items():
            self.inputs[letter.lower()].publish_snapshot(snapshot, found.timestamp)
        for number, loop in found.loops.items():
            self.loops[str(number)].publish_snapshot(loop, found.timestamp)
        if found.control is not None:
            publish(self.control, found.control, found.timestamp)
            self.show_control()

    async def poll_settings(self) -> None:
        """The registers of the next component; first of all those that are not read yet, as far as time allows."""
        deadline = time.monotonic() + ROUND_SECONDS
        while not self.line_is_taken:
            component = next((each for each in self._round if each in self.unread), self._round[0])
            self._round.remove(component)
            self._round.append(component)
            if not await self._read(component):
                return
            self.unread.discard(component)
            if not self.unread or time.monotonic() > deadline:
                return

    def show_control(self) -> None:
        """Say in the state whether the loops are in control."""
        on = self.control.reading.value
        if on is not None:
            self.set_state(
                DeviceState.ON if on else DeviceState.STANDBY, f"The loops are {'' if on else 'not '}in control."
            )

    async def _read(self, component: Registers) -> bool:
        """Read one component; False when its display unit has changed, which the other poll must see first."""
        what = f"settings of {type(component).__name__} {getattr(component, 'key', '')}".rstrip()
        pairs = self._registers(component)
        letter = component.unit_source
        queries = [query for _, query in pairs] + ([self.driver.inputs[letter].units] if letter else [])
        try:
            answers, timestamp = await self.driver.ask(queries, Turn.POLL)
            if letter and answers.pop().value is not self._units.get(letter):
                return False
            for (live, _), answer in zip(pairs, answers, strict=True):
                publish(live, answer, timestamp)
            unit = self._unit(component.unit_source, self._units)
            if unit is not None:
                component.show(unit)
            if isinstance(component, SensorInput):
                await component.read_sensor()
        except NotConnectedError:
            raise
        except DiptychError as error:
            for live, _ in pairs:
                live.publish_invalid(f"{reason(error)}: {error}")
            self._troubles.report(what, error)
        else:
            self._troubles.over(what)
        return True

    def _registers(self, component: Registers, in_unit: bool = False) -> list[tuple[LiveAttribute[Any], Query[Any]]]:
        return [pair for pair in component.registers(in_unit=in_unit) if pair[0].name in self.attributes]

    def _changed_units(self, answers: Mapping[str, Answer[Units]]) -> dict[Registers, str]:
        """The components that show another unit than the instrument, and its unit."""
        units = {letter: answer.value for letter, answer in answers.items()}
        now = {component: self._unit(component.unit_source, units) for component in self.components}
        return {component: unit for component, unit in now.items() if unit is not None and not component.shows(unit)}

    def _unit(self, letter: str | None, units: Mapping[str, Units | None]) -> str | None:
        units_now = units.get(letter or "")
        if units_now is not Units.S:
            return None if units_now is None else UNIT[units_now]
        # The sensor's own; of an input that is not in use nobody knows which.
        assert letter is not None
        part = self.inputs.get(letter.lower())
        return part.sensor_unit if part is not None else ""
