"""What all Alpaca devices have in common."""

from __future__ import annotations

import inspect
import socket
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Final

from devices.core import Device
from devices.core.errors import DiptychError, NotConnectedError
from devices.drivers.alpaca_errors import ErrorNumber
from servers.alpaca.call import Call
from servers.alpaca.member import Converter, Member, Refusal, get, not_implemented, put, text, truth

#: So many clients are remembered as connected; of more, the oldest is forgotten.
MOST_CLIENTS: Final = 1000


def own_version() -> str:
    """Of this software."""
    try:
        return version("diptych")
    except PackageNotFoundError:
        return "0"


class AlpacaDevice(ABC):
    """A device as its clients see it.

    A subclass declares members with `get` and `put`; tables have those that are constant, and those of the interface
    that it has not. It is connected when a client has said so and the hardware can be reached, until the last client
    that has said so takes it back.
    """

    #: Of the interface, and in paths.
    device_type: ClassVar[str]
    interface_version: ClassVar[int]
    #: Members that can be read and always are the same.
    constants: ClassVar[Mapping[str, Any]] = {}
    missing_gets: ClassVar[Iterable[str]] = ()
    missing_puts: ClassVar[Mapping[str, Mapping[str, Converter]]] = {}
    #: Members that DeviceState tells, as it spells them.
    operational: ClassVar[Iterable[str]] = ()
    #: What it does beyond the interface: name -> method, which gets the parameters as a text and gives a text.
    actions: ClassVar[Mapping[str, Callable[[Any, str], Awaitable[str]]]] = {}
    _gets: ClassVar[Mapping[str, Member]]
    _puts: ClassVar[Mapping[str, Member]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Of a class that is being made ABCMeta has not set ``__abstractmethods__`` yet.
        found: list[Any] = [getattr(cls, name, None) for name in dir(cls)]
        cls._gets = {each.__get_member__.name: each.__get_member__ for each in found if hasattr(each, "__get_member__")}
        cls._puts = {each.__put_member__.name: each.__put_member__ for each in found if hasattr(each, "__put_member__")}

    def __init__(self, name: str, number: int = 0) -> None:
        self.device_name, self.number = name, number
        #: Numbers of the clients that have connected, oldest first.
        self._clients: dict[int, None] = {}

    @property
    def unique_id(self) -> str:
        """The same as long as host and names stay."""
        path = f"{socket.gethostname()}/{self.device_name}/{self.device_type}/{self.number}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"alpaca://{path}".casefold()))

    # For subclasses -------------------------------------------------------------------------------------------------

    @abstractmethod
    def hardware(self) -> Device:
        """The device behind it.

        Raises:
            NotConnectedError: it is not there.
        """

    def exists(self) -> bool:
        """Whether this facility has such a device now."""
        return True

    # Requests -------------------------------------------------------------------------------------------------------

    def member(self, name: str, *, is_put: bool) -> Member | None:
        """A member, or None: this kind of device has none of this name."""
        if found := (self._puts if is_put else self._gets).get(name):
            return found
        if not is_put and name in self.constants:
            return Member(name, lambda _: self.constants[name])
        if is_put and name in self.missing_puts:
            return Member(name, _missing, self.missing_puts[name], always=True)
        if not is_put and name in self.missing_gets:
            return Member(name, _missing, always=True)
        return None

    async def answer(self, member: Member, call: Call) -> Any:
        """What a member gives.

        Raises:
            BadRequest: its parameters are wrong. DiptychError: it refuses.
        """
        values = call.values(member)
        if not (member.always or self.is_connected()):
            raise NotConnectedError(f"{self.device_name} is not connected: {self._why_not()}")
        if member.by_client:
            values.append(call.client)
        found = member.work(self, *values)
        return await found if inspect.isawaitable(found) else found

    def is_connected(self) -> bool:
        return bool(self._clients) and not self._why_not()

    def _why_not(self) -> str:
        if not self._clients:
            return "no client has connected"
        try:
            device = self.hardware()
        except NotConnectedError as error:
            return str(error)
        return "" if device.connected else device.status

    # Members of all -------------------------------------------------------------------------------------------------

    @get(always=True)
    def connected(self) -> bool:
        return self.is_connected()

    @put(always=True, by_client=True, Connected=truth)
    def put_connected(self, connected: bool, client: int) -> None:
        if connected:
            self.connect(client)
        else:
            self.disconnect(client)

    @put(always=True, by_client=True)
    def connect(self, client: int) -> None:
        device = self.hardware()
        if not device.connected:
            raise Refusal(ErrorNumber.DRIVER, f"{device.name} is not connected: {device.status}")
        self._clients.pop(client, None)
        self._clients[client] = None
        while len(self._clients) > MOST_CLIENTS:
            del self._clients[next(iter(self._clients))]

    @put(always=True, by_client=True)
    def disconnect(self, client: int) -> None:
        self._clients.pop(client, None)

    @get(always=True)
    def connecting(self) -> bool:
        # The facility keeps the hardware connected; there is nothing to wait for.
        return False

    @get(always=True)
    def name(self) -> str:
        return self.device_name

    @get(always=True)
    def description(self) -> str:
        return f"{self.device_name} of Diptych"

    @get(always=True)
    def driverinfo(self) -> str:
        return f"Diptych {own_version()}: {self.device_name} as an Alpaca device"

    @get(always=True)
    def driverversion(self) -> str:
        return own_version()

    @get(always=True)
    def interfaceversion(self) -> int:
        return self.interface_version

    @get(always=True)
    def supportedactions(self) -> list[str]:
        return list(self.actions)

    @get()
    def devicestate(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name in self.operational:
            member = self.member(name.casefold(), is_put=False)
            assert member is not None
            try:
                found.append({"Name": name, "Value": member.work(self)})
            except DiptychError:
                continue  # what has no value now is left out, as the interface wants it
        now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        return [*found, {"Name": "TimeStamp", "Value": f"{now}Z"}]

    @put(always=True, Action=text, Parameters=text)
    async def action(self, name: str, words: str) -> str:
        work = self.actions.get(name.casefold())
        if work is None:
            raise Refusal(ErrorNumber.ACTION_NOT_IMPLEMENTED, f"{self.device_name} has no action {name[:80]!r}")
        return await work(self, words)

    @put(always=True, Command=text, Raw=truth)
    def commandblind(self, command: str, raw: bool) -> None:
        raise not_implemented(f"{self.device_name} takes no commands of its hardware")

    @put(always=True, Command=text, Raw=truth)
    def commandbool(self, command: str, raw: bool) -> bool:
        raise not_implemented(f"{self.device_name} takes no commands of its hardware")

    @put(always=True, Command=text, Raw=truth)
    def commandstring(self, command: str, raw: bool) -> str:
        raise not_implemented(f"{self.device_name} takes no commands of its hardware")


def _missing(device: AlpacaDevice, *_: Any) -> None:
    raise not_implemented(f"{device.device_name} has not this member")
