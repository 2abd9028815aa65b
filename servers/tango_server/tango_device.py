"""A model device as a Tango device: reads from the latest reading, puts and commands through the loop."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import tango
import tango.server

from devices.core import CommandSpec, Device, Event, Kind, LiveAttribute, Reading
from devices.core.client import asked_by
from devices.core.errors import ConfigurationError, NotConnectedError, TimeoutError, reason
from devices.core.live import PUT_TIMEOUT
from devices.core.memorized import Store
from devices.core.neighbours import Neighbours, NoNeighbours
from devices.core.peers import Peers
from servers.native import NativeService, RunningServices, services_of
from servers.tango_server import configuration
from servers.tango_server.loop_thread import LoopThread
from servers.tango_server.pusher import Pusher, turn
from servers.tango_server.retired import retire
from servers.tango_server.tango_types import (
    QUALITIES,
    argument_type,
    arguments_from_tango,
    attribute_dtype,
    from_tango,
    result_to_tango,
    result_type,
    to_tango,
)

#: The model ends a put or a command by itself; this is for a loop that does not turn at all, s.
LOOP_TIMEOUT = PUT_TIMEOUT + 0.3
#: Starting does not wait for hardware, but a busy computer may take its time, s.
START_TIMEOUT = 10.0
#: A model device that does not end in this time is left to itself, s.
STOP_TIMEOUT = 4.5


class TangoDevice(tango.server.Device):  # type: ignore[misc]  # PyTango's server module is untyped
    """Base of the Tango classes that :func:`tango_class` makes."""

    GREEN_MODE = tango.GreenMode.Synchronous
    model_class: ClassVar[type[Device]]
    loop_thread: ClassVar[LoopThread]
    pusher: ClassVar[Pusher]
    #: How a device gets its properties and its store of memorized values; set by the server process.
    properties_of: ClassVar[Callable[[str], Mapping[str, Any]]]
    store_of: ClassVar[Callable[[str, list[str]], Store | None]]
    #: The devices of this process.
    peers: ClassVar[Peers] = Peers()
    #: What is beyond this process.
    neighbours: ClassVar[Neighbours] = NoNeighbours()
    #: What is to be served beside Tango.
    native: ClassVar[Sequence[NativeService]] = ()

    model: Device | None = None
    _services: RunningServices | None = None
    _trouble = ""
    _was_started = False
    _config_events: tango.DeviceProxy | None = None

    def init_device(self) -> None:
        super().init_device()
        cls = type(self)
        try:
            model = cls.model_class(self.get_name(), cls.properties_of(self.get_name()))
            # PyTango keeps a command as a member of the device: one of that name would be lost, and the device with it.
            clashes = [name for name in model.commands if hasattr(TangoDevice, name)]
            if clashes:
                problems = [f"command {name}: Tango's device has a member of that name" for name in clashes]
                raise ConfigurationError(self.get_name(), problems)
            self.model = model
            model.peers, model.neighbours = cls.peers, cls.neighbours
            cls.peers.add(model)
        except ConfigurationError as error:
            # The device stays visible and says what to mend; Init tries again.
            self.model, self._trouble = None, "wrong configuration:\n" + "\n".join(error.problems)
            logging.getLogger(f"diptych.{self.get_name()}").error("%s", error)
            return
        self._trouble = ""
        self._add_attributes(self.model)
        self._add_commands(self.model)
        if not tango.Util.instance().is_svr_starting():
            self.remove_foreign_attributes()
            self.start_model()

    def delete_device(self) -> None:
        self.stop_model()
        super().delete_device()

    def start_model(self) -> None:
        """Begin to work; called when the server has started, and by Init."""
        model = self.model
        if model is None:
            return
        memorized = [name for name, live in model.attributes.items() if live.spec.memorized]
        store = type(self).store_of(self.get_name(), memorized) if memorized else None
        # Init never writes to the hardware: only the first life of a device in its process applies memorized values.
        first, self._was_started = not self._was_started, True
        self._wait_for_start(model.start(store, apply=first))
        self._services = RunningServices(model, services_of(self.get_name(), type(self).native))
        self._wait_for_start(self._services.start())

    def _wait_for_start(self, work: Any) -> None:
        try:
            self._wait(self.loop_thread.submit(work), START_TIMEOUT)
        except concurrent.futures.TimeoutError as error:
            text = str(error) or f"{self.get_name()} did not start within {START_TIMEOUT:g} s: the loop has no time"
            raise TimeoutError(text) from None

    def stop_model(self) -> None:
        """End the work and leave the hardware as it is."""
        model, self.model = self.model, None
        services, self._services = self._services, None
        if model is not None:
            self.peers.remove(model)
            try:
                if services is not None:
                    self._wait(self.loop_thread.submit(services.stop()), STOP_TIMEOUT)
                self._wait(self.loop_thread.submit(model.stop()), STOP_TIMEOUT)
            except concurrent.futures.TimeoutError:
                self._log().error("does not end within %g s and is left to itself", STOP_TIMEOUT)

    def dev_state(self) -> tango.DevState:
        if self.model is None:
            return tango.DevState.FAULT
        return to_tango(self.model.state_attribute.spec.datatype, self.model.state)

    def dev_status(self) -> str:
        return self.model.status if self.model is not None else f"The device is in FAULT state.\n{self._trouble}"

    def read_attr_hardware(self, attr_list: list[int]) -> None:
        """Nothing: reads never touch the hardware."""
        # PyTango's own asks cppTango, which has nothing to do either: 2 % of every read (measured).

    def remove_foreign_attributes(self) -> None:
        """Remove the attributes that cppTango adds from the class's earlier devices, and from a life before Init.

        While the server starts it can be done only when all devices are known, and before the first client comes.
        """
        if self.model is None:
            return
        known = self.get_device_attr()
        names = {known.get_attr_by_ind(index).get_name() for index in range(known.get_attr_nb())}
        for name in names - {"State", "Status"} - set(self.model.attributes):
            self.remove_attribute(name, clean_db=False)

    def _add_attributes(self, model: Device) -> None:
        for name, live in model.attributes.items():
            words = configuration.declaration(live.spec)
            self.add_attribute(
                tango.server.attribute(
                    name=name,
                    dtype=attribute_dtype(live.spec.datatype),
                    fget=_reader(live) if live.spec.readable else None,
                    fset=_writer(name) if live.spec.writable else None,
                    read_green_mode=False,
                    write_green_mode=False,
                    **words,
                )
            )
            self.set_change_event(name, True, False)
            self.set_archive_event(name, True, False)
            configuration.adopt(live, self.get_device_attr().get_attr_by_name(name).get_properties())
            live.subscribe(self._on_publication)
            self._write_value(live)
        pairs: dict[str, LiveAttribute[Any]] = {"State": model.state_attribute, "Status": model.status_attribute}
        for name, live in pairs.items():
            self.set_change_event(name, True, False)
            self.set_archive_event(name, True, False)
            live.subscribe(functools.partial(self._on_state, name))

    def _on_publication(self, live: LiveAttribute[Any], reading: Reading[Any], event: Event) -> None:
        if Event.SETPOINT in event:
            # An event pushed now would carry the previous set value: measured. So it is set first.
            self._write_value(live)
            reading, event = live.reading, event | Event.CHANGE
        if Event.CONFIG in event:
            self._tell_configuration(live)
        if live.spec.readable:
            self.pusher.push(self, live.name, live.spec.datatype, reading, event)

    def _on_state(self, name: str, live: LiveAttribute[Any], reading: Reading[Any], event: Event) -> None:
        # PyTango pushes what ``set_state`` was told last, whatever value the push is given: measured with 10.3.
        if name == "State":
            self.set_state(to_tango(live.spec.datatype, reading.value))
        else:
            self.set_status(reading.value)
        self.pusher.push(self, name, live.spec.datatype, reading, event)

    def _write_value(self, live: LiveAttribute[Any]) -> None:
        if live.spec.writable and live.setpoint is not None and live.spec.datatype.kind is not Kind.ENCODED:
            value = to_tango(live.spec.datatype, live.setpoint.value)
            self.get_device_attr().get_w_attr_by_name(live.name).set_write_value(value)

    def _tell_configuration(self, live: LiveAttribute[Any]) -> None:
        attr = self.get_device_attr().get_attr_by_name(live.name)
        properties = attr.get_properties()
        if live.spec.unit != configuration.known(properties.unit):
            properties.unit = live.spec.unit
            try:
                with turn:
                    attr.set_properties(properties)
            except tango.DevFailed as error:
                self._log().warning("the unit of %s is not told to Tango: %s", live.name, error.args[0].desc)

    def subscribe_configuration(self, device: str) -> bool:
        """Adopt limits and bounds that a client changes by ``set_attribute_config`` while the device runs.

        False, and nothing is done, while there is no device: its properties are at fault, or Init makes it anew.

        Args:
            device: the name by which this process reaches the device, with the database's address or ``#dbase=no``.
        """
        model = self.model
        if model is None:
            return False
        proxy = tango.DeviceProxy(device)
        # One subscription that waits: afterwards Tango has made its event socket (see ``stuck_clients``).
        kind = tango.EventType.ATTR_CONF_EVENT
        self._config_numbers = [proxy.subscribe_event("alarm_summary", kind, lambda event: None)]
        for name, live in model.attributes.items():
            if live.spec.datatype.is_number:
                callback = functools.partial(self._on_configuration, name)
                self._config_numbers.append(
                    proxy.subscribe_event(name, kind, callback, sub_mode=tango.EventSubMode.AsyncRead)
                )
        self._config_events = proxy
        return True

    def compare_configuration(self) -> None:
        """Adopt what was changed while the subscriptions were on their way: such events are lost."""
        if self.model is None or self._config_events is None:
            return
        for name, live in self.model.attributes.items():
            if live.spec.datatype.is_number:
                self._adopt_configuration(name)

    def unsubscribe_configuration(self) -> None:
        """End what :meth:`subscribe_configuration` began."""
        proxy, self._config_events = self._config_events, None
        if proxy is not None:
            for number in self._config_numbers:
                # A subscription that Tango has not completed yet cannot be ended, and need not be.
                with contextlib.suppress(tango.DevFailed):
                    proxy.unsubscribe_event(number)
            self._config_numbers.clear()
            retire(proxy)

    def _on_configuration(self, name: str, event: tango.AttrConfEventData) -> None:
        if not event.err:
            self._adopt_configuration(name)

    def _adopt_configuration(self, name: str) -> None:
        # The loop may have ended with the server.
        with contextlib.suppress(RuntimeError):
            self.loop_thread.loop.call_soon_threadsafe(self._adopt_now, self.model, name)

    def _adopt_now(self, model: Device | None, name: str) -> None:
        # What is, and not what an event says: the device may have changed its unit since.
        # After Init the device may be another, without this attribute.
        if model is not None and model is self.model and name in model.attributes:
            properties = self.get_device_attr().get_attr_by_name(name).get_properties()
            configuration.adopt(model.attributes[name], properties)

    def _put(self, name: str, value: Any) -> None:
        model = self._working()
        self._through_loop(model.put(name, from_tango(model.attributes[name].spec.datatype, value)), f"writing {name}")

    def _add_commands(self, model: Device) -> None:
        for name, command in model.commands.items():
            spec = command.spec
            function = _runner(self, spec)
            words: dict[str, Any] = {"dtype_in": argument_type(spec), "dtype_out": result_type(spec)}
            if spec.arguments:
                words["doc_in"] = "; ".join(f"{a.name} [{a.unit or '-'}] {a.doc}".strip() for a in spec.arguments)
            words["doc_out"] = spec.doc or "nothing"
            level = tango.DispLevel.EXPERT if spec.level == "expert" else tango.DispLevel.OPERATOR
            self.add_command(tango.server.command(function, display_level=level, **words), device_level=True)
            function.__name__ = name

    def _run(self, spec: CommandSpec, argument: Any) -> Any:
        model = self._working()
        try:
            arguments = arguments_from_tango(spec, argument)
        except Exception as error:
            raise dev_failed(error, f"{self.get_name()}/{spec.name}") from None
        result = self._through_loop(model.run(spec.name, arguments), spec.name)
        return result_to_tango(spec, result)

    def _working(self) -> Device:
        if self.model is None:
            name = self.get_name()
            wrong = ConfigurationError(name, [self._trouble]) if self._trouble else None
            raise dev_failed(wrong or NotConnectedError(f"{name} is being started or stopped"), name)
        return self.model

    def _through_loop(self, work: Any, what: str) -> Any:
        with asked_by(_client(self.get_client_ident())):
            future = self.loop_thread.submit(work)
        try:
            return self._wait(future, LOOP_TIMEOUT)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            late = error if str(error) else TimeoutError(f"{what}: the server's loop does not answer")
            raise dev_failed(late, f"{self.get_name()}/{what}") from None
        except Exception as error:
            raise dev_failed(error, f"{self.get_name()}/{what}") from None

    def _wait(self, future: concurrent.futures.Future[Any], seconds: float) -> Any:
        # Gives the device's monitor back while it waits: other clients' reads, and the loop's own pushes, need it.
        with tango.AutoTangoAllowThreads(self):
            return future.result(seconds)

    def _log(self) -> logging.Logger:
        return logging.getLogger(f"diptych.{self.get_name()}")


def _client(ident: Any) -> str:
    """One process of a computer, as Tango's own lock of devices tells clients apart."""
    if not ident.client_ident:
        return "tango"  # older than Tango 7: all such clients are one
    # giop:tcp:127.0.0.1:33394, giop:unix:..., or the JVM's identity: the port is the connection's.
    address = ident.client_ip.rpartition(":")[0] if ident.client_ip.startswith("giop:tcp:") else ident.client_ip
    return f"tango {address.removeprefix('giop:tcp:')} {ident.client_pid} {ident.java_main_class}".rstrip()


def dev_failed(error: BaseException, origin: str) -> tango.DevFailed:
    """The Tango exception for an error of the model: reason = class name, description = text, unchanged."""
    try:
        tango.Except.throw_exception(reason(error), str(error) or type(error).__name__, origin)
    except tango.DevFailed as failed:
        return failed
    raise AssertionError("unreachable")


def _reader(live: LiveAttribute[Any]) -> Callable[[Any, Any], None]:
    """The read method of one attribute; it touches neither the loop nor the hardware."""
    datatype, name = live.spec.datatype, live.name
    plain = datatype.kind not in (Kind.ENUM, Kind.STATE, Kind.ENCODED)

    def read(device: TangoDevice, attr: tango.Attribute) -> None:
        model = device.model
        if model is None:
            raise dev_failed(NotConnectedError(f"{device.get_name()} is being initialised"), device.get_name())
        reading = model.attributes[name].reading
        value = reading.value
        if value is None:
            attr.set_quality(tango.AttrQuality.ATTR_INVALID)
            attr.set_date(tango.TimeVal.fromtimestamp(reading.timestamp))
        elif plain:
            attr.set_value_date_quality(value, reading.timestamp, QUALITIES[reading.quality])
        elif datatype.kind is Kind.ENCODED:
            attr.set_value_date_quality(value.format, value.data, reading.timestamp, QUALITIES[reading.quality])
        else:
            attr.set_value_date_quality(to_tango(datatype, value), reading.timestamp, QUALITIES[reading.quality])

    return read


def _writer(name: str) -> Callable[[Any, Any], None]:
    def write(device: TangoDevice, attr: tango.WAttribute) -> None:
        device._put(name, attr.get_write_value())

    return write


def _runner(device: TangoDevice, spec: CommandSpec) -> Callable[..., Any]:
    if spec.arguments:

        def run(argument: Any) -> Any:
            return device._run(spec, argument)
    else:

        def run() -> Any:  # type: ignore[misc]
            return device._run(spec, None)

    run.__name__ = spec.name
    return run


def tango_class(
    name: str,
    model_class: type[Device],
    loop_thread: LoopThread,
    pusher: Pusher,
    properties_of: Callable[[str], Mapping[str, Any]],
    store_of: Callable[[str, list[str]], Store | None],
    native: Sequence[NativeService] = (),
    neighbours: Neighbours | None = None,
) -> type[TangoDevice]:
    """The Tango class ``name`` for a model class."""
    return type(
        name,
        (TangoDevice,),
        {
            "__doc__": model_class.__doc__,
            "model_class": model_class,
            "loop_thread": loop_thread,
            "pusher": pusher,
            "properties_of": staticmethod(properties_of),
            "store_of": staticmethod(store_of),
            "native": native,
            "neighbours": neighbours or NoNeighbours(),
        },
    )
