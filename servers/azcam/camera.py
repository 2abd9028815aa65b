"""A camera as clients of azcam know it: its tools by their names, and what belongs to no device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devices.core.errors import UnknownNameError
from devices.core.peers import Peers
from servers.azcam.tool import DeviceTool, NoTool, Tool

#: The tools beside the exposure, which its properties name.
TOOLS: Final = ("controller", "instrument", "telescope", "tempcon", "display")


class Camera:
    """The tools of one exposure device.

    Attributes:
        tools: by name; one that the camera has not refuses everything.
        system_name: what ``systemname`` is.
        mode: what ``mode`` of the status is.
        focus: arguments of focus runs, as ``focus.set_pars`` has set them.
    """

    def __init__(self, tools: Mapping[str, Tool], system_name: str, mode: str = "") -> None:
        self.tools = {name: tools.get(name) or NoTool(name) for name in ("exposure", *TOOLS)}
        self.system_name, self.mode = system_name, mode
        self.focus: dict[str, Any] = {}
        self._seen = 0

    @classmethod
    def of_peers(cls, peers: Peers, exposure: str, names: Mapping[str, str], system_name: str) -> Camera:
        """The camera of an exposure device of this process.

        Args:
            names: tool -> device; "" for none.
        """
        found: dict[str, Tool] = {"exposure": DeviceTool(peers, exposure)}
        found |= {tool: DeviceTool(peers, name) for tool, name in names.items() if name}
        return cls(found, system_name)

    def tool(self, name: str) -> Tool:
        """A tool.

        Raises:
            UnknownNameError: cameras have no such tool.
        """
        try:
            return self.tools[name]
        except KeyError:
            raise UnknownNameError(f"there is no tool {name}; there are {', '.join(self.tools)}") from None

    def has(self, name: str) -> bool:
        """Whether this camera has a tool."""
        return not isinstance(self.tools[name], NoTool)

    def image_ready(self) -> int:
        """1 when an image has come since somebody asked last."""
        taken = int(self.tool("exposure").value("images_taken"))
        is_new, self._seen = int(taken != self._seen), taken
        return is_new
