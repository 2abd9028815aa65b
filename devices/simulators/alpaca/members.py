"""What all simulated Alpaca devices share: how members are found, and the members that each has."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from devices.drivers.alpaca_errors import ErrorNumber

#: Members that answer while the device is not connected.
_ALWAYS: Final = {
    *("connected", "connecting", "connect", "disconnect", "name", "description", "driverinfo"),
    *("driverversion", "interfaceversion", "supportedactions", "action"),
}

COMMANDS: Final = frozenset(("commandblind", "commandbool", "commandstring"))


class Refused(Exception):
    """The device refuses, with a number of `ErrorNumber` and a text; the answer is HTTP 200."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class BadRequest(Exception):
    """The question itself is wrong; the answer is HTTP 400."""


class Member:
    """A device whose methods ``get_NAME`` and ``put_NAME`` are its members.

    Their parameters are named as Alpaca names them; those of ``put`` are spelled exactly so.
    """

    #: ``Camera``, ``Focuser`` ... as in the list of configured devices.
    kind: ClassVar[str]
    name: ClassVar[str]
    interface_version: ClassVar[int] = 3

    def __init__(self) -> None:
        self.connected = False
        #: Members that never change.
        self.constants: Mapping[str, object] = {}
        #: Members of Alpaca that this device does not implement.
        self.absent: frozenset[str] = COMMANDS

    def get(self, member: str, parameters: Mapping[str, str]) -> object:
        """A member's value; Refused, BadRequest."""
        method = getattr(self, f"get_{member}", None)
        if method is None and member not in self.constants and member not in self.absent:
            self._unknown(member, "get", "put")
        self._check_connected(member)
        if member in self.absent:
            raise not_implemented(member)
        if method is None:
            return self.constants[member]
        return method(**_arguments(method, {name.casefold(): value for name, value in parameters.items()}))

    def put(self, member: str, parameters: Mapping[str, str]) -> object:
        """Set or call a member; Refused, BadRequest."""
        if member in self.absent:
            raise not_implemented(member)
        method = getattr(self, f"put_{member}", None)
        if method is None:
            self._unknown(member, "put", "get")
        arguments = _arguments(method, parameters)
        self._check_connected(member)
        return method(**arguments)  # type: ignore[misc]

    def _unknown(self, member: str, verb: str, other: str) -> None:
        exists = hasattr(self, f"{other}_{member}") or member in self.constants
        raise BadRequest(f"{self.kind} has no member {member}" + (f" to {verb}" if exists else ""))

    def _check_connected(self, member: str) -> None:
        if not self.connected and member not in _ALWAYS:
            raise Refused(ErrorNumber.NOT_CONNECTED, f"{self.name} is not connected")

    def get_connected(self) -> bool:
        return self.connected

    def put_connected(self, Connected: bool) -> None:
        self.connected = Connected

    def get_connecting(self) -> bool:
        return False

    def put_connect(self) -> None:
        self.connected = True

    def put_disconnect(self) -> None:
        self.connected = False

    def get_name(self) -> str:
        return self.name

    def get_description(self) -> str:
        return f"{self.name} of no make"

    def get_driverinfo(self) -> str:
        return "Diptych simulator"

    def get_driverversion(self) -> str:
        return "1.0"

    def get_interfaceversion(self) -> int:
        return self.interface_version

    def get_supportedactions(self) -> list[str]:
        return []

    def get_devicestate(self) -> list[dict[str, object]]:
        return []

    def put_action(self, Action: str, Parameters: str) -> str:
        raise Refused(ErrorNumber.ACTION_NOT_IMPLEMENTED, f"there is no action {Action}")


def not_implemented(member: str) -> Refused:
    return Refused(ErrorNumber.NOT_IMPLEMENTED, f"{member} is not implemented")


def within(name: str, value: float, least: float, most: float) -> None:
    """Refuse a value outside its bounds."""
    if not least <= value <= most:
        raise Refused(ErrorNumber.INVALID_VALUE, f"{name} = {value:g} is outside [{least:g}, {most:g}]")


def _arguments(method: Any, given: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if name not in given:
            raise BadRequest(f"parameter {name} is missing")
        found[name] = _typed(name, given[name], str(parameter.annotation))
    return found


def _typed(name: str, text: str, kind: str) -> object:
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.casefold()]
        return {"int": int, "float": float, "str": str}[kind](text)
    except (ValueError, KeyError):
        raise BadRequest(f"parameter {name} = {text!r} is not of the type {kind}") from None
