"""The devices of a DCSS for everybody else: a client of DCSS as a device."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass
from typing import Any, Final

from devices.core import Device, DeviceState, Operation, Part, Properties, attribute, command, operation, poll, setting
from devices.core.errors import NotConnectedError, RefusedError, UnknownNameError
from devices.core.live import ended_in_time
from devices.dcss.bridge_device import host_and_port
from devices.dcss.gui_link import GuiLink
from devices.dcss.gui_model import LOG_LINES, DcssDevice, DcssModel
from devices.drivers import tcl_list

#: DCSS answers a request, or begins what it asks for, within this time, s.
ANSWER_SECONDS: Final = 2.0


@dataclass(frozen=True)
class ClientProperties(Properties):
    """Where DCSS is, who we are to it, which of its devices have attributes of their own."""

    dcss: str = setting("127.0.0.1:14243", doc="HOST:PORT of DCSS for clients", check=host_and_port)
    user: str = setting("diptych", doc="Who logs in")
    session: str = setting("PRIVATE", doc="The session of the user, as the site's login gives it")
    host_name: str = setting("localhost", doc="The name of this computer, as DCSS sees it")
    active: bool = setting(False, doc="Become the active client at each login, unless there is one")
    motors: tuple[str, ...] = setting((), doc="Motors with attributes of their own")
    shutters: tuple[str, ...] = setting((), doc="Shutters with attributes of their own")
    strings: tuple[str, ...] = setting((), doc="Strings with attributes of their own")


class ClientMotor(Part["DcssClient"]):
    """A motor of DCSS."""

    group = "Motor {key}"
    position = attribute(float, precision=4, doc="Position of {key}; a put starts a move")
    moving = attribute(bool, doc="Whether {key} moves")

    @position.write
    async def write_position(self, position: float) -> None:
        await self.device.begin_move(self.key, position)

    @command()
    async def stop(self) -> None:
        """Abort the move of {key}."""
        self.device.ask("gtos_abort_motor_move", self.key)

    def show(self, found: DcssDevice) -> None:
        limits = None if found.lower is None and found.upper is None else (found.lower, found.upper)
        self.position.configure(unit=found.unit, limits=limits)
        if found.value is not None:
            self.position.publish_change(found.value)
            if not found.is_moving:
                self.position.publish_setpoint(found.value)
        self.moving.publish_change(found.is_moving)


class ClientShutter(Part["DcssClient"]):
    """A shutter of DCSS."""

    group = "Shutter {key}"
    open = attribute(bool, doc="Whether {key} is open", setpoint_follows=True)

    @open.write
    async def write_open(self, is_open: bool) -> None:
        await self.device.ended(self.key, "gtos_set_shutter_state", "open" if is_open else "closed")

    def show(self, found: DcssDevice) -> None:
        self.open.publish_change(found.value != "closed")


class ClientString(Part["DcssClient"]):
    """A string of DCSS."""

    group = "String {key}"
    text = attribute(str, doc="The string {key}", setpoint_follows=True)

    @text.write
    async def write_text(self, text: str) -> None:
        await self.device.ended(self.key, "gtos_set_string", rest=text)

    def show(self, found: DcssDevice) -> None:
        self.text.publish_change(str(found.value or "")[:4096])


class DcssClient(Device):
    """All that a DCSS has, as its clients see it; moves, shutters, strings and operations through it.

    Whoever asks for motion must be the active client of DCSS, of which there is one: ``become_active``.
    """

    properties_class = ClientProperties
    properties: ClientProperties

    client_id = attribute(int, doc="Our number at DCSS")
    is_active = attribute(bool, doc="Whether we are the active client")
    is_staff = attribute(bool, doc="Whether DCSS takes us for staff")
    devices = attribute(int, doc="Devices that DCSS has")
    table = attribute(str, doc="All devices: a JSON list of objects", text_limit=1 << 20)
    hardware = attribute(str, doc="Hardware servers: JSON, name to online or offline", text_limit=1 << 16)
    offline = attribute(str, doc="Hardware servers that are not online")
    log_lines = attribute(str, shape=(LOG_LINES,), doc="What DCSS has logged, the newest last")

    def build(self) -> None:
        given = self.properties
        self._parts: dict[str, ClientMotor | ClientShutter | ClientString] = {
            **self.parts(ClientMotor, given.motors),
            **self.parts(ClientShutter, given.shutters),
            **self.parts(ClientString, given.strings),
        }
        self._link: GuiLink | None = None
        self._model = DcssModel(self._changed, self._updated)
        self._runs: dict[str, Operation] = {}
        self._counter = itertools.count(1)

    async def connect(self) -> None:
        given = self.properties
        self._model = DcssModel(self._changed, self._updated)
        self._link = GuiLink(self._model.take, lambda reason: self.lost(NotConnectedError(reason)))
        host, port = host_and_port(given.dcss)
        await self._link.open(host, port, given.user, given.session, given.host_name)
        self.client_id.publish(self._link.client_id)
        if given.active:
            self.ask("gtos_become_master", "noforce")
        self.set_state(DeviceState.ON)

    async def disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    @poll(0.5)
    async def poll_model(self) -> None:
        """What has come since."""
        model = self._model
        self.is_active.publish_change(model.is_master)
        self.is_staff.publish_change(model.is_staff)
        self.devices.publish_change(len(model.devices))
        self.table.publish_change(json.dumps(model.rows()))
        self.hardware.publish_change(json.dumps(model.hosts))
        self.offline.publish_change(" ".join(name for name, state in model.hosts.items() if state != "online"))
        self.log_lines.publish_change(tuple(line[:4096] for line in model.log))
        unknown = [name for name in self._parts if name not in model.devices] if model.is_complete else []
        self.set_fault("names", f"DCSS has no {', '.join(unknown)}" if unknown else "")

    @command()
    async def become_active(self, force: bool = False) -> None:
        """Become the active client; by force, also when there is another."""
        self.ask("gtos_become_master", "force" if force else "noforce")

    @command()
    async def become_passive(self) -> None:
        """Let others be the active client."""
        self.ask("gtos_become_slave")

    @command()
    async def abort_all(self, hard: bool = False) -> None:
        """Stop everything at the beamline; needs not be the active client."""
        self.ask("gtos_abort_all", "hard" if hard else "soft")

    @command()
    async def set_string(self, name: str, text: str) -> None:
        """Set a string of DCSS."""
        await self.ended(self._known(name), "gtos_set_string", rest=text)

    @command()
    async def set_shutter(self, name: str, open: bool) -> None:
        """Open or close a shutter of DCSS."""
        await self.ended(self._known(name), "gtos_set_shutter_state", "open" if open else "closed")

    @operation(when_busy="parallel")
    async def move(self, run: Operation, name: str, position: float) -> float:
        """Move a motor of DCSS and wait for its end; the result is where it is."""
        end = self._model.end_of(self._known(name))
        self.ask("gtos_start_motor_move", name, position)
        try:
            status = await end
        except asyncio.CancelledError:
            self.ask("gtos_abort_motor_move", name)
            raise
        if status != "normal":
            raise RefusedError(f"{name} has not moved to {position:g}: {status}")
        return float(self._model.devices[name].value)

    @operation(when_busy="parallel")
    async def start_operation(self, run: Operation, name: str, arguments: str = "") -> dict[str, Any]:
        """Run an operation of DCSS to its end; arguments are a Tcl list. The result has status, words and updates."""
        self._known(name)
        handle = f"{self.client_id.value}.{next(self._counter)}"
        found = self._model.operation(handle)
        self._runs[handle] = run
        try:
            self.ask("gtos_start_operation", name, handle, rest=arguments)
            status, text = await found.done
        except asyncio.CancelledError:
            self.ask("gtos_stop_operation", name)
            raise
        finally:
            self._model.forget(handle)
            del self._runs[handle]
        if status != "normal":
            raise RefusedError(f"{name}: {status} {text}".rstrip())
        return {"status": status, "words": tcl_list.split(text), "updates": found.updates}

    async def begin_move(self, name: str, position: float) -> None:
        """Start a move; DCSS says at once when it does not.

        Raises:
            RefusedError: with the word that DCSS gives: locked, sw_limit, moving, no_hw_host_X, not_active.
        """
        begin = self._model.begin_of(name)
        self.ask("gtos_start_motor_move", name, position)
        status = await ended_in_time(begin, ANSWER_SECONDS, f"the start of {name}")
        if status not in ("started", "normal"):
            raise RefusedError(f"{name} does not move to {position:g}: {status}")

    async def ended(self, name: str, message: str, *words: object, rest: str = "") -> None:
        """Ask for something and wait until DCSS says how it ended.

        Raises:
            RefusedError: not well.
        """
        end = self._model.end_of(name)
        self.ask(message, name, *words, rest=rest)
        status = await ended_in_time(end, ANSWER_SECONDS, f"{message.removeprefix('gtos_')} {name}")
        if status != "normal":
            raise RefusedError(f"{message.removeprefix('gtos_')} {name}: {status}")

    def ask(self, message: str, *words: object, rest: str = "") -> None:
        """Send a request.

        Raises:
            NotConnectedError: there is no login.
        """
        if self._link is None:
            raise NotConnectedError(f"no login at DCSS, {self.properties.dcss}")
        self._link.send(message, *words, rest=rest)

    def _known(self, name: str) -> str:
        if name not in self._model.devices:
            raise UnknownNameError(f"DCSS has no {name}; it has {len(self._model.devices)} other devices")
        return name

    def _changed(self, found: DcssDevice) -> None:
        part = self._parts.get(found.name)
        if part is not None:
            if self._model.hosts.get(found.host) == "offline":
                for live in part.live.values():
                    live.publish_invalid(f"its hardware server {found.host} is offline")
            else:
                part.show(found)

    def _updated(self, handle: str, text: str) -> None:
        if (run := self._runs.get(handle)) is not None:
            run.report(message=text[:200])
