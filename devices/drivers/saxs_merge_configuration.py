"""What a SAXS merge is to do: the DataConsolidation files of Saxsdog.

The keys, their bounds and defaults stand in `saxs_merge.schema.json`; they are spelled as in existing files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.json_schema import checked, schema_of
from devices.drivers.limited_file import read_limited

MAX_FILE_BYTES: Final = 1 << 20
#: What stands behind the columns of image headers and of detector logs.
IMAGE, IMAGE_LOG = "Img", "ImgLog"


@dataclass(frozen=True)
class LogFile:
    """A log: by its path below the base folder (`remote`, None: not named), or by its name at the client (`local`)."""

    remote: str | None
    local: str


@dataclass(frozen=True)
class LogTable:
    """The log files of one logger.

    Args:
        offset_seconds: to be added to its times, its own and that of all logs.
        correlation: the image that begins when the shutter first opens: the first one, the one named zero, or none.
        counting: names of the columns that are averaged over long exposures; None: by their names.
    """

    name: str
    epoch: Literal["Mac", "Unix"]
    offset_seconds: float
    correlation: Literal["first", "zero"] | None
    counting: tuple[str, ...] | None
    files: tuple[LogFile, ...]


@dataclass(frozen=True)
class MergeConfiguration:
    """A merge.

    Args:
        zone: of the dates in images and detector logs.
        formats: which of csv, json, exel, hdf are written.
        output: where results go, seen from the folder of the images.
    """

    tables: tuple[LogTable, ...] = ()
    zone: tzinfo = UTC
    formats: frozenset[str] = frozenset()
    includes_curves: bool = False
    includes_images: bool = False
    output: str = "./results/logs/"


def read_merge_configuration(path: Path) -> MergeConfiguration:
    """Read a configuration file.

    Raises:
        ConfigurationError: it is missing, no JSON, or has wrong entries; all problems, each with its key.
    """
    try:
        document = json.loads(read_limited(path, MAX_FILE_BYTES))
    except BadValueError as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(str(path), [f"not JSON: {error}"]) from error
    return parse_merge_configuration(document, str(path))


def parse_merge_configuration(document: object, subject: str = "mergeconf") -> MergeConfiguration:
    """Check a configuration and give it its defaults; `subject` is what errors call it.

    Raises:
        ConfigurationError: all wrong entries, each with its key.
    """
    entries = checked(document, schema_of("saxs_merge"), subject, subject)
    problems, tables, names = [], [], {IMAGE, IMAGE_LOG}
    for index, entry in enumerate(entries["LogDataTables"]):
        where, name = f"LogDataTables[{index}]", entry["Name"].strip()
        if name in names or not name:
            problems.append(f"{where}.Name: {name!r} is empty or taken")
        names.add(name)
        if entry["FirstImageCorrelation"] and entry["ZeroImageCorrelation"]:
            problems.append(f"{where}: FirstImageCorrelation and ZeroImageCorrelation exclude each other")
        files = []
        for place, file in enumerate(entry["Files"]):
            components = [part for part in file["RemotePath"] if part]
            if not components and not file["LocalPath"]:
                problems.append(f"{where}.Files[{place}]: neither RemotePath nor LocalPath names a file")
            if any("\0" in part for part in (*components, file["LocalPath"])):
                problems.append(f"{where}.Files[{place}]: a path with a NUL")
            files.append(LogFile("/".join(components) if components else None, file["LocalPath"]))
        tables.append(
            LogTable(
                name=name,
                epoch=entry["TimeEpoch"],
                offset_seconds=float(entries["TimeOffset"]) + float(entry["TimeOffset"]),
                correlation="first" if entry["FirstImageCorrelation"] else _zero(entry["ZeroImageCorrelation"]),
                counting=tuple(entry["CountingColumns"]) if "CountingColumns" in entry else None,
                files=tuple(files),
            )
        )
    try:
        # UTC without the machine's tables of zones, which may be missing.
        zone = UTC if entries["TimeZone"] == "UTC" else ZoneInfo(entries["TimeZone"])
    except (OSError, ValueError, LookupError) as error:  # what it makes of "", "..", a folder, an unknown name
        problems.append(f"TimeZone: {entries['TimeZone']!r} is no zone that this machine knows: {error}")
    if "\0" in entries["OutputFileBaseName"]:
        problems.append("OutputFileBaseName: a path with a NUL")
    if problems:
        raise ConfigurationError(subject, problems)
    return MergeConfiguration(
        tables=tuple(tables),
        zone=zone,
        formats=frozenset(name for name, wanted in entries["OutputFormats"].items() if wanted),
        includes_curves=entries["HDFOptions"]["IncludeCHI"],
        includes_images=entries["HDFOptions"]["IncludeTIF"],
        output=entries["OutputFileBaseName"],
    )


def _zero(is_wanted: bool) -> Literal["zero"] | None:
    return "zero" if is_wanted else None
