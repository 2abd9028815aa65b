"""The properties of an exposure device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devices.ccd.detector_setup import read_setup
from devices.ccd.file_name import FileType, check_root
from devices.ccd.tool import ToolProperties
from devices.core import setting


@dataclass(frozen=True)
class ExposureProperties(ToolProperties):
    """Which tools take part, what the detector is, where images go. Names of azcam stand in brackets."""

    controller: str = setting(doc="Device name of the CCD controller, in the same server")
    instrument: str = setting("", doc="Device name of the instrument, in the same server; empty: none")
    telescope: str = setting("", doc="Device name of the telescope, in the same server; empty: none")
    tempcon: str = setting("", doc="Device name of the temperature controller, in the same server; empty: none")
    display: str = setting("", doc="Device name of the display, in the same server; empty: none")
    tools_init: tuple[str, ...] = setting(
        (), doc="Tools that are initialised with it: controller, instrument, ... (exposure.tools_init)"
    )
    tools_reset: tuple[str, ...] = setting((), doc="Tools that are reset with it (exposure.tools_reset)")
    resets_at_first_use: bool = setting(True, doc="The controller is reset before its first exposure")
    instrument_shutter: bool = setting(False, doc="The instrument's shutter moves with the exposure, too")

    detector: str = setting(
        "", doc="JSON of format, focalplane, roi ... or a file of it (set_detpars, fileconverter.set_detector_config)",
        check=read_setup,
    )  # fmt: skip
    longest: float = setting(86400.0, doc="The longest exposure, s", limits=(0.001, 1e6))

    data_folder: Path = setting(doc="Images go below this folder (datafolder)")
    allowed_folders: tuple[Path, ...] = setting((), doc="Other folders in which images may be written")
    spool_folder: Path = setting(
        Path(), doc="Where images wait that could not be written, best on another disk; empty: data_folder/.unsaved"
    )
    image_root: str = setting("a.", doc="How file names begin", check=check_root)
    file_type: FileType = setting(FileType.MEF, doc="FITS, MEF, BIN or ASM (filetype)")
    auto_name: bool = setting(False, doc="The type of the image is part of its file's name (autoname)")
    auto_title: bool = setting(False, doc="The type of the image is its title (auto_title)")
    overwrite: bool = setting(False, doc="Files of the same name are replaced")
    compress: bool = setting(False, doc="Pixels are compressed without loss, as fpack does")
    make_lockfile: bool = setting(False, doc="A BIN file that is complete has an empty one beside it, NAME.OK")
    add_extensions: bool = setting(
        False, doc="The controller's telemetry is a table of FITS files, CONPARS (add_extensions)"
    )

    remote_imageserver_flag: bool = setting(
        False, doc="Images are sent to another host (image.remote_imageserver_flag)"
    )
    remote_imageserver_filename: str = setting(
        "", doc="Their name there; empty: the same (remote_imageserver_filename)"
    )
    remote_imageserver_host: str = setting("127.0.0.1", doc="That host")
    remote_imageserver_port: int = setting(6543, doc="Its port", limits=(1, 65535))
    server_type: Literal["azcam", "dataserver", "lbtguider", "ccdacq"] = setting(
        "dataserver", doc="How they are sent (image.server_type)"
    )
