"""Remote methods: the only ones that clients can call, each what it is on the device."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from servers.azcam.argument import Argument, Arguments

if TYPE_CHECKING:
    from servers.azcam.camera import Camera
    from servers.azcam.tool import Tool

#: What a method does: camera, tool, arguments by the device's names -> value, or a coroutine of it.
Action = Callable[["Camera", "Tool", Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Method:
    """One method of a tool.

    Attributes:
        reads_only: it changes nothing.
        is_silent: clients of azcam get no value, whatever it gives to others.
        doc: one sentence.
    """

    action: Action
    arguments: Arguments = field(default_factory=lambda: Arguments(()))
    reads_only: bool = False
    is_silent: bool = False
    doc: str = ""


#: The methods of a tool by their names.
Table = dict[str, Method]


def read(attribute: str, otherwise: Any = None, *, then: Callable[[Any], Any] | None = None) -> Method:
    """The value of an attribute.

    Args:
        otherwise: what stands for it while it is INVALID; None: an error.
        then: what is made of it.
    """

    def action(camera: Camera, tool: Tool, words: Mapping[str, Any]) -> Any:
        value = tool.value(attribute) if otherwise is None else tool.value_or(attribute, otherwise)
        return value if then is None else then(value)

    return Method(action, reads_only=True, doc=f"The attribute {attribute}.")


def put(attribute: str, argument: Argument, *ignored: Argument) -> Method:
    """Put an attribute."""

    def action(camera: Camera, tool: Tool, words: Mapping[str, Any]) -> Any:
        return tool.put(attribute, words[argument.key])

    return Method(action, Arguments((argument, *ignored)), is_silent=True, doc=f"Put the attribute {attribute}.")


def run(command: str, *arguments: Argument, gives: bool = False, reads_only: bool = False) -> Method:
    """Run a command, or start an operation."""

    def action(camera: Camera, tool: Tool, words: Mapping[str, Any]) -> Any:
        return tool.run(command, **words)

    doc = f"The command {command}." if gives else f"The command {command}; of an operation its start."
    return Method(action, Arguments(arguments), reads_only=reads_only, is_silent=not gives, doc=doc)


def done(operation: str, *arguments: Argument) -> Method:
    """Run an operation to its end."""

    def action(camera: Camera, tool: Tool, words: Mapping[str, Any]) -> Any:
        return tool.done(operation, **words)

    return Method(action, Arguments(arguments), is_silent=True, doc=f"The operation {operation}, to its end.")


def do(
    function: Callable[..., Any],
    *arguments: Argument,
    of_camera: bool = False,
    reads_only: bool = False,
    silent: bool = False,
) -> Method:
    """A function of the tool, or of the camera, and of the arguments: what is no single attribute or command."""

    def action(camera: Camera, tool: Tool, words: Mapping[str, Any]) -> Any:
        return function(camera if of_camera else tool, **words)

    first = (inspect.getdoc(function) or "").partition("\n")[0]
    return Method(action, Arguments(arguments), reads_only=reads_only, is_silent=silent, doc=first)


#: A method that is there for old clients, since what it did is done anyway.
NOTHING: Final = Method(lambda camera, tool, words: None, doc="Nothing: it is done anyway.")
