"""A device: an instrument with attributes, commands and operations, run by one asyncio loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any, ClassVar, TypeVar

from devices.core.attribute import Attribute, AttributeSpec, attribute
from devices.core.command import LiveCommand
from devices.core.component import Component, Part, declared
from devices.core.dask_executor import DaskExecutor
from devices.core.datatype import DataType, DeviceState
from devices.core.errors import ConfigurationError, UnknownNameError, reason
from devices.core.executor import SharedProcessPool, make_executor
from devices.core.interface import Interface
from devices.core.live import LiveAttribute, check_limits, published
from devices.core.memorized import Memory, Store
from devices.core.neighbours import Neighbours, NoNeighbours
from devices.core.operations import OPERATION_ATTRIBUTES, Operations
from devices.core.peers import Peers
from devices.core.pipeline import LivePipeline, Pipeline
from devices.core.poller import Poll, Poller
from devices.core.property import Properties
from devices.core.reading import Quality, Reading
from devices.core.reservation import Reservation
from devices.core.standard import LONG_TEXT, add_standard_commands
from devices.core.state import resolve

PartT = TypeVar("PartT", bound=Part[Any])


class Device(Component):
    """Base of every instrument.

    A subclass declares attributes, commands and operations, and overrides :meth:`connect` and :meth:`disconnect`.
    Its properties are a class of its own: ``properties: MyProperties`` and ``properties_class = MyProperties``.
    """

    properties_class: ClassVar[type[Properties]] = Properties
    properties: Properties

    alarm_summary = attribute(str, doc="The attributes beyond a bound now; empty when all is well")
    reserved_by = attribute(str, doc="The client that has the device for itself; empty when it is free")

    def __init_subclass__(cls, **words: Any) -> None:
        """Refuse a class that gives the name of a member of Device to an attribute, command, poll or pipeline."""
        super().__init_subclass__(**words)
        for name, item in vars(cls).items():
            ours = isinstance(item, Attribute | Pipeline) or hasattr(item, "__command__") or hasattr(item, "__poll__")
            if ours and hasattr(Device, name) and not isinstance(getattr(Device, name), Attribute):
                raise TypeError(f"{cls.__name__}.{name} hides a member of Device; give it another name")

    def __init__(self, name: str, properties: Properties | Mapping[str, Any] | None = None) -> None:
        """Build the device without touching hardware.

        Raises:
            ConfigurationError: properties are wrong; all of them are listed.
        """
        if not isinstance(properties, Properties):
            properties = self.properties_class.parse(properties or {}, name)
        self.name = name
        self.properties = properties
        self.log = logging.getLogger(f"diptych.{name}")
        self.attributes: dict[str, LiveAttribute[Any]] = {}
        self.commands: dict[str, LiveCommand] = {}
        self.pipelines: dict[str, LivePipeline[Any, Any]] = {}
        self.memory = Memory(name, None)
        self.reservation = Reservation(name, self._note_reservation)
        self.offers: dict[str, Any] = {}
        #: The devices of its process; the server gives one of its own to all.
        self.peers = Peers()
        #: Other devices and PVs, wherever they are.
        self.neighbours: Neighbours = NoNeighbours()
        self._polls: list[Poll] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._own_state, self._own_text = DeviceState.ON, ""
        self._faults: dict[str, str] = {}
        self._alarms: dict[str, LiveAttribute[Any]] = {}
        self._running = False
        self._applies = True
        self._executor: Executor | None = None
        self._task: asyncio.Task[None] | None = None
        self._poller: Poller | None = None
        self.operations: Operations
        self.state_attribute: LiveAttribute[DeviceState] = LiveAttribute(
            AttributeSpec("state", DataType.of(DeviceState), label="State"), self
        )
        self.status_attribute: LiveAttribute[str] = LiveAttribute(
            AttributeSpec("status", LONG_TEXT, label="Status"), self
        )
        self._build(self, None)
        self._build_pipelines()
        self.build()
        self._build_operations()
        add_standard_commands(self)
        self.alarm_summary.publish("")
        self.reserved_by.publish("")
        #: Set when memorized values have been applied or offered, after the first contact with the hardware.
        self.restored = asyncio.Event()
        self.set_state(DeviceState.INIT, "not started")

    def build(self) -> None:
        """Add the parts that depend on properties: ``self.inputs = self.parts(Input, "abcd")``."""

    async def connect(self) -> None:
        """Open the link, check who answers, publish what is asked once; raise when it cannot be done."""

    async def disconnect(self) -> None:
        """Close the link; called after every connect, also after one that failed half-way."""

    async def aborted(self) -> None:
        """A client aborted all operations: end what waits between two of them, if there is such a thing."""

    def parts(self, kind: type[PartT], keys: Iterable[str]) -> dict[str, PartT]:
        """Build one part for each key; only in :meth:`build`."""
        return {key: kind(self, key) for key in keys}

    def without(self, *names: str) -> None:
        """Drop attributes and commands that this model of the instrument has not; only in :meth:`build`."""
        for name in names:
            if self.attributes.pop(name, None) is None and self.commands.pop(name, None) is None:
                raise TypeError(f"{type(self).__name__} has no attribute or command {name}")

    def set_state(self, state: DeviceState, text: str = "") -> None:
        """Say what the hardware itself is doing; faults, operations and alarms are added by precedence."""
        self._own_state, self._own_text = state, text
        self._publish_state()

    def set_fault(self, key: str, text: str) -> None:
        """Report what keeps the device from working, or with an empty text that it is over."""
        if self._faults.get(key, "") == text:
            return
        if text:
            self._faults[key] = text
        else:
            self._faults.pop(key, None)
        self._publish_state()

    @property
    def executor(self) -> Executor:
        """Where pipelines run; made when first used."""
        if self._executor is None:
            given = self.properties
            if given.scheduler:
                self._executor = DaskExecutor(given.scheduler, given.scheduler_tls, self._tell_scheduler)
            else:
                self._executor = make_executor(given.executor, f"{self.name} pipeline")
        return self._executor

    @property
    def connected(self) -> bool:
        return self._poller is not None and self._poller.connected

    @property
    def state(self) -> DeviceState:
        return self.state_attribute.value

    @property
    def status(self) -> str:
        return self.status_attribute.value

    @property
    def interface(self) -> Interface:
        """The frozen view of what clients can do now."""
        return Interface(
            type(self).__name__,
            inspect.getdoc(self) or "",
            self.properties.pv_prefix,
            tuple(live.spec for live in self.attributes.values()),
            tuple(command.spec for command in self.commands.values()),
        )

    async def start(self, store: Store | None = None, *, apply: bool = True) -> None:
        """Begin to work: from now on the device connects, polls and reconnects by itself; returns at once.

        Args:
            store: where memorized values live.
            apply: False for a second life in one process (Tango's Init): values memorized to "apply" are offered only.
        """
        self._applies = apply
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self.memory = Memory(self.name, store)
        self.set_state(DeviceState.INIT, "connecting")
        self._poller = Poller(self, self._polls)
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """End operations, polls, the link and the executor; the hardware is left as it is."""
        self.reservation.free()
        await self.operations.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._poller is not None:
            await self._poller.close()
        await self.memory.close()
        if self._executor is not None:
            try:
                self._executor.shutdown(wait=False, cancel_futures=True)
            except TypeError:
                # Dask's executor knows no ``cancel_futures``: it cancels whenever it does not wait.
                self._executor.shutdown(wait=False)
        self.set_state(DeviceState.OFF, "stopped")

    def lost(self, error: ConnectionError) -> None:
        """Somebody who used the link found it broken: connect again."""
        if self._poller is not None:
            self._poller.lost(error)

    async def put(self, name: str, value: Any) -> None:
        """Put a client's value into an attribute; see :meth:`LiveAttribute.put`."""
        live = self._find(self.attributes, "attribute", name)
        self.reservation.demand(name)
        await self._watched(live.put(value))

    async def run(self, name: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run a command, or start an operation and return its id; see :meth:`LiveCommand.run`."""
        command = self._find(self.commands, "command", name)
        if not (command.spec.reads_only or command.spec.stops):
            self.reservation.demand(name)
        return await self._watched(command.run(arguments))

    def add_attribute(self, live: LiveAttribute[Any]) -> None:
        if live.name in self.attributes:
            raise TypeError(f"{type(self).__name__} has two attributes {live.name}")
        self.attributes[live.name] = live

    def add_command(self, live: LiveCommand) -> None:
        if live.spec.name in self.commands:
            raise TypeError(f"{type(self).__name__} has two commands {live.spec.name}")
        self.commands[live.spec.name] = live

    def add_poll(self, function: Callable[[], Awaitable[None]], period: float, name: str) -> None:
        self._polls.append(Poll(function, period, name))

    def elsewhere(self, function: Callable[..., None], *args: Any) -> bool:
        """Hand a call over to the device's loop when this is another thread; False when it may go on here."""
        if self._loop is None or threading.get_ident() == self._thread:
            return False
        self._loop.call_soon_threadsafe(function, *args)
        return True

    def note_quality(self, live: LiveAttribute[Any]) -> None:
        """An attribute has a new reading: keep the list of those beyond a bound."""
        beyond = live.reading.quality in (Quality.WARNING, Quality.ALARM)
        if beyond or live.name in self._alarms:
            if beyond:
                self._alarms[live.name] = live
            else:
                del self._alarms[live.name]
            lines = [_alarm_line(each.spec, each.reading) for each in self._alarms.values()]
            self._say(self.alarm_summary, "\n".join(lines)[:4000])
            self._publish_state()

    def note_operations(self, running: bool) -> None:
        """Operations began or ended."""
        self._running = running
        self._publish_state()

    def remember(self, live: LiveAttribute[Any]) -> None:
        """A put of a memorized attribute went well: keep what is set now, and offer no older value."""
        assert live.setpoint is not None
        self.memory.remember(live.name, live.spec.datatype.to_json(live.setpoint.value))
        if self.offers.pop(live.name, None) is not None:
            self._publish_state()

    def contacted(self) -> None:
        """The hardware was reached for the first time, and every poll has been tried."""
        if self._own_state is DeviceState.INIT:
            self.set_state(DeviceState.ON)

    async def restore(self) -> None:
        """After the first contact: apply memorized values, or offer those that the hardware does not hold."""
        for name, value in list(self.memory.values.items()):
            live = self.attributes.get(name)
            if live is None or not live.spec.memorized or not live.has_hook:
                continue
            if live.spec.memorized == "apply" and self._applies:
                try:
                    await self.put(name, value)
                except Exception as error:
                    self.log.error("memorized %s = %s is not applied: %s: %s", name, value, reason(error), error)
            elif live.setpoint is None or live.spec.datatype.to_json(live.setpoint.value) != value:
                self.offers[name] = value
        self._publish_state()
        self.restored.set()

    def _restore_settings(self) -> None:
        for name, value in self.memory.values.items():
            live = self.attributes.get(name)
            if live is not None and live.spec.memorized and not live.has_hook:
                try:
                    converted = live.spec.datatype.convert(value, name)
                    check_limits(name, converted, live.spec.limits, live.spec.unit)
                    live.publish(converted)
                    live.publish_setpoint(converted)
                except Exception as error:
                    self.log.error("memorized %s = %s does not fit: %s", name, value, error)

    async def _run(self) -> None:
        assert self._poller is not None
        try:
            if self.pipelines:
                await asyncio.to_thread(self._make_executor)
            await self.memory.load()
            self._restore_settings()
            await self._poller.run()
        except Exception as error:
            self.log.exception("the device does not poll nor connect any more")
            self.set_fault("poller", f"the device does not poll nor connect any more: {reason(error)}: {error}")

    def _make_executor(self) -> None:
        """Make the executor before anybody waits for it: the processes of a pool take seconds to start."""
        try:
            if isinstance(self.executor, SharedProcessPool):
                self.executor.submit(_nothing)
        except ConfigurationError as error:
            self.log.error("%s", error)
            self.set_fault("executor", str(error))

    async def _watched(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except ConnectionError as error:
            self.lost(error)
            raise

    def _tell_scheduler(self, problem: str) -> None:
        if not self.elsewhere(self.set_fault, "scheduler", problem):
            self.set_fault("scheduler", problem)

    def _find(self, table: Mapping[str, Any], what: str, name: str) -> Any:
        try:
            return table[name]
        except KeyError:
            raise UnknownNameError(f"{self.name} has no {what} {name}") from None

    def _note_reservation(self) -> None:
        self.log.info("%s", self.reservation if self.reservation.name else "free for all")
        self._say(self.reserved_by, self.reservation.name)
        self._publish_state()

    def _publish_state(self) -> None:
        if self.elsewhere(self._publish_state):
            return
        state = resolve(self._own_state, fault=bool(self._faults), running=self._running, alarm=bool(self._alarms))
        lines = list(self._faults.values())
        if self._own_text:
            lines.append(self._own_text)
        lines += [str(self.reservation)] if self.reservation.name else []
        lines += [f"{run.name} is {run.state.value.lower()}" for run in self.operations.active]
        lines += [_alarm_line(each.spec, each.reading) for each in self._alarms.values()]
        lines += [
            f"memorized: {name} = {value}; apply_memorized {name!r} writes it" for name, value in self.offers.items()
        ]
        self._say(self.state_attribute, state)
        # A text of the hardware may hold anything; a state that cannot be told would stop the poller.
        text = "\n".join([f"The device is in {state.name} state.", *lines]).replace("\0", "?")
        self._say(self.status_attribute, text[: LONG_TEXT.text_limit])

    def _say(self, live: LiveAttribute[Any], value: Any) -> None:
        """Publish what the device says of itself: no reading of the poll that runs, so it stays when that fails."""
        token = published.set(None)
        try:
            live.publish(value)
        finally:
            published.reset(token)

    def _build_pipelines(self) -> None:
        for name, item in declared(type(self), Pipeline).items():
            live: LivePipeline[Any, Any] = LivePipeline(item, self)
            self.pipelines[name] = live
            for timing in (item.seconds, item.rate):
                self.add_attribute(LiveAttribute(timing.spec, self, initial=timing.initial))
            spec = item.command_spec()
            if spec is not None:
                work = live.as_operation if spec.kind == "operation" else live.as_command
                self.add_command(LiveCommand(spec, self, work))

    def _build_operations(self) -> None:
        attributes: dict[str, LiveAttribute[Any]] = {}
        if any(command.spec.kind == "operation" for command in self.commands.values()):
            for name, item in OPERATION_ATTRIBUTES.items():
                attributes[name] = LiveAttribute(item.spec, self)
                self.add_attribute(attributes[name])
        self.operations = Operations(self, attributes)


def _nothing() -> None:
    """The first work of a process pool."""


def _alarm_line(spec: AttributeSpec, reading: Reading[Any]) -> str:
    value = "" if hasattr(reading.value, "shape") else f" = {reading.value} {spec.unit}".rstrip()
    return f"{reading.quality.value} {spec.name}{value}" + (f" ({reading.reason})" if reading.reason else "")
