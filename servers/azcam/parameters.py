"""The parameter table: names under which clients of azcam read and set what tools have, and names of their own."""

from __future__ import annotations

import asyncio
import configparser
import io
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from devices.ccd.file_name import FileType
from devices.core.errors import (
    BadValueError,
    DiptychError,
    InvalidReadingError,
    NotAllowedError,
    RangeError,
    StorageError,
)
from devices.drivers.new_file import NewFile
from devices.drivers.send_image_header import FILE_TYPES
from servers.azcam.argument import Converter, anything, flag, number, text, whole
from servers.azcam.camera import Camera
from servers.azcam.tool_methods import BAD_VALUE, set_control_temperature, temperatures

SECTION: Final = "azcamserver"
#: Names that belong to no tool: so many, of so many characters.
MOST_NAMES: Final = 1000
MOST_TEXT: Final = 4096

#: Parameter -> tool and attribute.
ATTRIBUTES: Final = {
    "autotitle": ("exposure", "auto_title"),
    "imagetype": ("exposure", "image_type"),
    "imagetitle": ("exposure", "image_title"),
    "exposuretime": ("exposure", "exposure_time"),
    "exposuretimeremaining": ("exposure", "exposure_time_remaining"),
    "exposurecompleted": ("exposure", "completed"),
    "pixelsremaining": ("exposure", "pixels_remaining"),
    "exposureflag": ("exposure", "exposure_flag"),
    "exposuresequencedelay": ("exposure", "sequence_delay"),
    "exposuresequencetotal": ("exposure", "sequence_total"),
    "exposuresequencenumber": ("exposure", "sequence_number"),
    "isexposuresequence": ("exposure", "is_sequence"),
    "exposureguidestatus": ("exposure", "is_guiding"),
    "displayimage": ("exposure", "display_image"),
    "sendimage": ("exposure", "send_image"),
    "savefile": ("exposure", "save_file"),
    "flusharray": ("exposure", "flush_array"),
    "imagetest": ("exposure", "test_image"),
    "tdimode": ("exposure", "tdi_mode"),
    "tdidelay": ("exposure", "tdi_delay"),
    "pardelay": ("exposure", "par_delay"),
    "lastfilename": ("exposure", "last_filename"),
    "imagesequencenumber": ("exposure", "image_number"),
    "imageautoincrementsequencenumber": ("exposure", "auto_increment"),
    "imageincludesequencenumber": ("exposure", "include_number"),
    "imageautoname": ("exposure", "auto_name"),
    "imageoverwrite": ("exposure", "overwrite"),
    "imageroot": ("exposure", "image_root"),
    "imagefolder": ("exposure", "image_folder"),
    "imagesizex": ("exposure", "image_columns"),
    "imagesizey": ("exposure", "image_rows"),
    "numpiximage": ("exposure", "image_pixels"),
    "instrumentfocus": ("instrument", "focus"),
    "telescopefocus": ("telescope", "focus"),
}
#: Parameter -> its place in the window.
WINDOW: Final = {"firstcol": 0, "lastcol": 1, "firstrow": 2, "lastrow": 3, "colbin": 4, "rowbin": 5}
#: What they are called by `set_roi`.
WINDOW_NAMES: Final = ("first_col", "last_col", "first_row", "last_row", "col_bin", "row_bin")
#: Labels in the order of azcam's numbers.
FLUSHINGS: Final = ("each", "first", "none")
#: Parameters of old servers that mean nothing here, and what they are until they are set.
KEPT: Final = {
    "exposureguidemode": 0,
    "exposureupdatingheader": 0,
    "imageheaderfile": "",
    "utilityboardinstalled": 0,
    "pciboardinstalled": 0,
    "timingboardinstalled": 0,
    "videogain": 0,
    "videospeed": 0,
    "usereadlock": 0,
    "pcifile": "",
    "timingfile": "",
    "utilityfile": "",
    "timingboard": "",
    "videoboards": "",
    "clockboards": "",
    "abortflag": 0,
    "verbosity": 1,
    "logcommands": 0,
    "logdata": 0,
}

#: What an attribute holds -> what becomes of the text that a client sets; bool comes first, being an int, too.
_KINDS: Final[dict[type, Converter]] = {bool: flag, int: whole, float: number, object: text}


@dataclass(frozen=True)
class Parameter:
    """One row of the table; ``put`` is None for what cannot be set."""

    get: Callable[[], Any]
    put: Callable[[Any], Awaitable[None]] | None = None


class Parameters:
    """The table of one camera.

    Args:
        file: where `save` writes it; None: nowhere.
    """

    def __init__(self, camera: Camera, file: Path | None = None) -> None:
        self._camera, self._file = camera, file
        self._kept: dict[str, dict[str, Any]] = {SECTION: dict(KEPT)}
        self._table = self._rows()

    def get(self, name: str, section: str = "") -> Any:
        """A parameter by its name, upper or lower case; None for one that nobody has set."""
        key = name.casefold()
        row = self._table.get(key)
        if row is None:
            return self._kept.get(section or SECTION, {}).get(key)
        try:
            value = row.get()
        except InvalidReadingError:
            return None
        return int(value) if isinstance(value, bool) else value

    async def set(self, name: str, value: Any, section: str = "") -> None:
        """Set a parameter; a name that is not in the table keeps what it is given.

        Raises:
            NotAllowedError: it is not for clients to set.
            DiptychError: as the tool refuses it.
        """
        key = name.strip().casefold()
        row = self._table.get(key)
        if row is None:
            self._keep(key, value, section or SECTION)
        elif row.put is None:
            raise NotAllowedError(f"{name} can be read only")
        else:
            await row.put(value)

    @property
    def logs_commands(self) -> bool:
        """Whether each command is logged; ``logcommands``."""
        return bool(self._kept[SECTION]["logcommands"])

    async def save(self) -> None:
        """Write all parameters into the file.

        Raises:
            NotAllowedError: no file is configured. StorageError: it cannot be written.
        """
        if self._file is None:
            raise NotAllowedError("parameters are not saved: the service has no option parameters")
        held: dict[str, dict[str, Any]] = {section: dict(values) for section, values in self._kept.items()}
        for name in self._table:
            try:
                held[SECTION][name] = self.get(name)
            except DiptychError:
                continue  # a tool that is away, or that this camera has not
        try:
            await asyncio.to_thread(_write, self._file, held)
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror or error}") from error

    async def load(self) -> None:
        """Take over the names of the file that are in no tool's hands; tools remember by themselves.

        Raises:
            StorageError: the file cannot be read. BadValueError: it is none of this kind.
        """
        if self._file is None:
            return
        try:
            found = await asyncio.to_thread(_read, self._file)
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror or error}") from error
        except (configparser.Error, UnicodeDecodeError) as error:
            raise BadValueError(f"{self._file}: {error}") from error
        for section, values in found.items():
            for key, value in values.items():
                if key not in self._table:
                    self._keep(key, value, section)

    def _keep(self, key: str, value: Any, section: str) -> None:
        if not key or not key.isprintable() or any(letter in key for letter in "=:#;[") or not section.isidentifier():
            raise BadValueError(f"parameter {key!r} of {section!r} is not a name")
        value = anything(value, key)
        if max(len(key), len(str(value))) > MOST_TEXT:
            raise RangeError(f"parameter {key[:80]} has more than {MOST_TEXT} characters")
        if sum(map(len, self._kept.values())) >= MOST_NAMES:
            raise RangeError(f"there are {MOST_NAMES} parameters already")
        self._kept.setdefault(section, {})[key] = value

    # The rows ------------------------------------------------------------------------------------------------------

    def _rows(self) -> dict[str, Parameter]:
        exposure, tempcon = self._camera.tool("exposure"), self._camera.tool("tempcon")

        async def put_file_type(value: Any) -> None:
            names = {str(code): label for label, code in FILE_TYPES.items()}
            label = names.get(str(value).strip(), str(value).strip().upper())
            if label not in FileType.__members__:
                raise RangeError(
                    f"imagefiletype = {value!r} is none of {', '.join(f'{v} {k}' for k, v in names.items())}"
                )
            await exposure.put("file_type", label)

        async def put_flushing(value: Any) -> None:
            place = whole(value, "exposuresequenceflush")
            if not 0 <= place < len(FLUSHINGS):
                raise RangeError(f"exposuresequenceflush = {place} is outside [0, {len(FLUSHINGS) - 1}]")
            await exposure.put("sequence_flush", FLUSHINGS[place])

        async def put_filename(value: Any) -> None:
            await exposure.run("set_filename", filename=str(value))

        async def put_set_point(value: Any) -> None:
            await set_control_temperature(tempcon, number(value, "controltemperature"))

        def fixed(value: Any) -> Parameter:
            return Parameter(lambda: value)

        def celsius(name: str) -> Parameter:
            return Parameter(lambda: tempcon.value_or(f"{name}_temperature", BAD_VALUE))

        rows = {name: self._attribute(*where) for name, where in ATTRIBUTES.items()}
        rows |= {name: self._window(place) for name, place in WINDOW.items()}
        rows |= {
            "imagefilename": Parameter(lambda: exposure.value("filename"), put_filename),
            "imagefiletype": Parameter(lambda: FILE_TYPES[exposure.value("file_type")], put_file_type),
            "exposuresequenceflush": Parameter(lambda: FLUSHINGS.index(exposure.value("sequence_flush")), put_flushing),
            "controltemperature": Parameter(lambda: tempcon.value_or("control_temperature", BAD_VALUE), put_set_point),
            "camtemp": celsius("camera"),
            "dewtemp": celsius("dewar"),
            "temperatures": Parameter(lambda: temperatures(tempcon)),
            "instrumentenabled": fixed(int(self._camera.has("instrument"))),
            "telescopeenabled": fixed(int(self._camera.has("telescope"))),
            "systemname": fixed(self._camera.system_name),
            "hostname": fixed(socket.gethostname()),
            "version": fixed(_version()),
            "wd": Parameter(os.getcwd),
        }
        return rows

    def _attribute(self, tool: str, attribute: str) -> Parameter:
        found = self._camera.tool(tool)

        async def put(value: Any) -> None:
            held = found.value_or(attribute, 0.0)
            kind = next(convert for of, convert in _KINDS.items() if isinstance(held, of))
            await found.put(attribute, kind(value, attribute))

        return Parameter(lambda: found.value(attribute), put)

    def _window(self, place: int) -> Parameter:
        exposure = self._camera.tool("exposure")
        name = WINDOW_NAMES[place]

        async def put(value: Any) -> None:
            await exposure.run("set_roi", **{name: whole(value, name)})

        return Parameter(lambda: exposure.value("roi")[place], put)


def _version() -> str:
    try:
        return version("diptych")
    except PackageNotFoundError:
        return "unknown"


def _write(file: Path, values: dict[str, dict[str, Any]]) -> None:
    found = configparser.ConfigParser(interpolation=None)
    found.read_dict({section: {k: str(v) for k, v in each.items()} for section, each in values.items()})
    lines = io.StringIO()
    found.write(lines)
    file.parent.mkdir(parents=True, exist_ok=True)
    with NewFile(file, overwrite=True) as new:
        new.write(lines.getvalue().encode(), 0)


def _read(file: Path) -> dict[str, dict[str, str]]:
    if not file.exists():
        return {}
    found = configparser.ConfigParser(interpolation=None)
    found.read(file, encoding="utf-8")
    return {section: dict(found[section]) for section in found.sections()}
