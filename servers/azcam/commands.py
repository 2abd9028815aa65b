"""All that clients may call, by name: a table, never the attributes of an object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from types import CoroutineType
from typing import Any, Final

from devices.core.errors import ConfigurationError, DiptychError
from servers.azcam import reply
from servers.azcam.api_methods import API
from servers.azcam.argument import Argument, Arguments, text, text_or_nothing
from servers.azcam.camera import Camera
from servers.azcam.display_methods import DISPLAY
from servers.azcam.exposure_methods import DETECTOR, EXPOSURE, FOCUS, IMAGE, SEND_IMAGE
from servers.azcam.header_methods import HEADER
from servers.azcam.method import Method, Table
from servers.azcam.parameters import Parameters
from servers.azcam.reply import AzcamError
from servers.azcam.site_tool import SiteTool
from servers.azcam.tool import Tool
from servers.azcam.tool_methods import CONTROLLER, INSTRUMENT, TELESCOPE, TEMPCON
from servers.azcam.words import split_words

log = logging.getLogger("diptych.azcam")

#: Root of a name -> tool and methods.
TABLES: Final[Mapping[str, tuple[str, Table]]] = {
    "exposure": ("exposure", EXPOSURE),
    "exposure.image": ("exposure", IMAGE),
    "exposure.image.focalplane": ("exposure", DETECTOR),
    "exposure.sendimage": ("exposure", SEND_IMAGE),
    "controller": ("controller", CONTROLLER),
    "instrument": ("instrument", INSTRUMENT),
    "telescope": ("telescope", TELESCOPE),
    "tempcon": ("tempcon", TEMPCON),
    "display": ("display", DISPLAY),
    "focus": ("exposure", FOCUS),
    **{f"{tool}.header": (tool, HEADER) for tool in ("exposure", "controller", "instrument", "telescope", "tempcon")},
}

_NAME: Final = Argument("parameter", text, required=True, others=("name",))
_SECTION: Final = Argument("subdict", text_or_nothing, target="section")


class Commands:
    """What can be called of one camera."""

    def __init__(self, camera: Camera, parameters: Parameters, site: Sequence[SiteTool] = ()) -> None:
        self.camera, self.parameters = camera, parameters
        self.bare: dict[str, tuple[Tool, Method]] = {
            name: (camera.tool(tool), method) for name, (tool, method) in API.items()
        }
        exposure = camera.tool("exposure")
        self.bare |= {name: (exposure, method) for name, method in self._parameter_methods().items()}
        self.all: dict[str, tuple[Tool, Method]] = dict(self.bare)
        self.all |= {f"api.{name}": found for name, found in self.bare.items()}
        self.all |= {f"parameters.{name}": self.bare[name] for name in ("get_par", "set_par", "save_pars")}
        for root, (tool, table) in TABLES.items():
            self.all |= {f"{root}.{name}": (camera.tool(tool), method) for name, method in table.items()}
        for each in site:
            if taken := [name for name in self.all if name.startswith(f"{each.name}.")]:
                raise ConfigurationError(f"site tool {each.name}", [f"{taken[0]} is taken"])
            self.all |= {f"{each.name}.{name}": (exposure, method) for name, method in each.methods().items()}
        self._site = {each.name for each in site}
        self._roots = {name.split(".")[0] for name in self.all if "." in name}

    def line(self, line: str) -> str | Coroutine[Any, Any, str]:
        """Carry out a line of the text protocol: the reply, or a coroutine of it where it takes time."""
        name = ""
        try:
            words = split_words(line)
            if not words:
                return reply.OK  # a remark
            name = words[0].whole
            tool, method = self.find(name)
            value = method.action(self.camera, tool, method.arguments.from_words(words[1:]))
        except Exception as error:
            return self._failed(name, error)
        if type(value) is CoroutineType:
            return self._later(name, method, value)
        return self._reply(name, method, value)

    async def call(self, name: str, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Call a method with values; what it gives.

        Raises:
            DiptychError, AttributeError: as the line of the text protocol would say.
        """
        tool, method = self.find(name)
        value = method.action(self.camera, tool, method.arguments.bind(given, named))
        return await value if type(value) is CoroutineType else value

    def find(self, name: str) -> tuple[Tool, Method]:
        """A method by its name.

        Raises:
            AzcamError: there is no such tool. AttributeError: it has no such method.
        """
        if (found := self.all.get(name)) is not None:
            return found
        root, _, rest = name.partition(".")
        if not rest:
            raise AttributeError(f"'API' object has no attribute '{name[:80]}'")
        if root not in self._roots:
            raise AzcamError(f"remote call not allowed: {root[:80]}")
        raise AttributeError(f"'{root}' object has no attribute '{rest[:80]}'")

    async def _later(self, name: str, method: Method, value: Coroutine[Any, Any, Any]) -> str:
        try:
            return self._reply(name, method, await value)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            return self._failed(name, error)

    def _reply(self, name: str, method: Method, value: Any) -> str:
        if method.is_silent:
            return reply.OK
        is_site = bool(self._site) and name.partition(".")[0] in self._site
        if is_site and isinstance(value, str) and value.split(" ")[0] in (reply.OK, reply.ERROR, "WARNING"):
            return value  # a site's tool may say the whole reply itself
        # Consoles split the reply to a bare word, also where it is an object.
        return reply.ok(value, as_word=name.startswith("api."))

    def _failed(self, name: str, error: Exception) -> str:
        if not isinstance(error, DiptychError | AttributeError):
            log.exception("%s failed", name[:80])
        return reply.error(error)

    def _parameter_methods(self) -> Table:
        parameters = self.parameters

        def get_par(parameter: str, section: str = "") -> Any:
            """A parameter."""
            return parameters.get(parameter, section)

        async def set_par(parameter: str, value: Any = "None", section: str = "") -> None:
            """Set a parameter."""
            await parameters.set(parameter, value, section)

        def method(function: Any, *arguments: Argument, reads_only: bool = False) -> Method:
            return Method(
                lambda camera, tool, words: function(**words),
                Arguments(arguments),
                reads_only,
                not reads_only,
                function.__doc__ or "",
            )

        return {
            "get_par": method(get_par, _NAME, _SECTION, reads_only=True),
            "set_par": method(set_par, _NAME, Argument("value", _as_it_is), _SECTION),
            "save_pars": method(parameters.save),
        }


def _as_it_is(value: Any, name: str) -> Any:
    return value
