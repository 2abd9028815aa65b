"""The properties of a display."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devices.ccd.endpoint import endpoint
from devices.ccd.tool import ToolProperties
from devices.core import setting
from devices.drivers.ds9 import Ds9, SampLink, XpaLink
from devices.drivers.samp import SampHub
from devices.drivers.xpa import NAME_SERVER_PORT, AccessPoint, NameServer


def _place(text: str) -> None:
    endpoint(text, NAME_SERVER_PORT)


@dataclass(frozen=True)
class DisplayProperties(ToolProperties):
    """Where images are shown, beside the browser that shows them always."""

    viewer: Literal["browser", "xpa", "samp"] = setting(
        "browser", doc="browser alone; or a ds9 as well, through XPA (also on another host) or SAMP"
    )
    ds9: str = setting("*", doc="Which ds9: its title (option -title) for XPA, its name at the hub for SAMP; *: any")
    name_server: str = setting(
        f"tcp://127.0.0.1:{NAME_SERVER_PORT}", doc="XPA's name server on ds9's host, tcp://HOST:PORT", check=_place
    )
    ds9_address: str = setting(
        "", doc="ds9 itself (XPA_PORT), tcp://HOST:PORT; no name server is asked; empty: by the name server"
    )
    samp_hub: Path = setting(Path(), doc="The SAMP hub's lock file; empty: SAMP_HUB of the environment, or ~/.samp")
    ds9_timeout: float = setting(10.0, doc="The longest time in which ds9 does nothing, s", limits=(0.1, 600.0))
    folders: tuple[Path, ...] = setting((), doc="Where files may be shown from and saved to; empty: nowhere")

    def make_ds9(self, which: str) -> Ds9 | None:
        """The ds9 of this name; None: the browser alone.

        Raises:
            ValueError: ds9_address is no tcp://HOST:PORT.
        """
        if self.viewer == "browser":
            return None
        if self.viewer == "samp":
            hub = SampHub(None if self.samp_hub == Path() else self.samp_hub, self.ds9_timeout)
            return Ds9(SampLink(hub, which))
        if self.ds9_address:
            host, port = endpoint(self.ds9_address, 0)
            return Ds9(XpaLink(AccessPoint(host, port, f"DS9:{which}", self.ds9_timeout)))
        host, port = endpoint(self.name_server, NAME_SERVER_PORT)
        return Ds9(XpaLink(NameServer(host, port, self.ds9_timeout), which))
