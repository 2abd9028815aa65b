"""Tools of a site's own: Python classes that a facility names, never a client."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeVar, get_type_hints

from devices.core.errors import ConfigurationError
from servers.azcam.argument import Argument, Arguments, Converter, flag, items, literal, number, text, whole
from servers.azcam.camera import Camera
from servers.azcam.method import Method, Table
from servers.azcam.tool import Tool

F = TypeVar("F", bound=Callable[..., Any])

_KINDS: Final[Mapping[Any, Converter]] = {
    str: text,
    float: number,
    int: whole,
    bool: flag,
    dict: literal,
    list[str]: items(text),
    list[float]: items(number),
    list[int]: items(whole),
}


def remote(method: F) -> F:
    """Mark a method of a `SiteTool` as one that clients may call; its annotations are the types of its arguments."""
    method.__remote__ = True  # type: ignore[attr-defined]
    return method


class SiteTool:
    """A tool of a site's own, made once for each service.

    Attributes:
        name: how clients call it: ``NAME.method``.
        camera: the tools to work with.
    """

    name: ClassVar[str] = ""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera

    def methods(self) -> Table:
        """What clients may call."""
        marked = [name for name, each in inspect.getmembers(type(self)) if getattr(each, "__remote__", False)]
        return {name: _method(getattr(self, name)) for name in marked}


def make_site_tool(path: str, camera: Camera) -> SiteTool:
    """A site's tool by its import path, ``package.module:Class``.

    Raises:
        ConfigurationError: it cannot be imported, or is no tool.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(path, [f"cannot be imported: {error}"]) from error
    if not (isinstance(found, type) and issubclass(found, SiteTool)) or not found.name.isidentifier():
        raise ConfigurationError(path, ["is no SiteTool with a name"])
    try:
        tool = found(camera)
        tool.methods()
    except TypeError as error:
        raise ConfigurationError(path, [str(error)]) from error
    return tool


def _method(function: Callable[..., Any]) -> Method:
    hints = get_type_hints(function)
    arguments = []
    for each in inspect.signature(function).parameters.values():
        hint = hints.get(each.name)
        if hint not in _KINDS:
            raise TypeError(
                f"{function.__qualname__}: {each.name} has the type {hint}, none of str, float, int, bool, list, dict"
            )
        is_required = each.default is inspect.Parameter.empty
        arguments.append(Argument(each.name, _KINDS[hint], None if is_required else each.default, is_required))

    def action(camera: Camera, tool: Tool, words: Mapping[str, Any]) -> Any:
        return function(**words)

    return Method(action, Arguments(arguments), doc=(inspect.getdoc(function) or "").partition("\n")[0])
