"""What a client sends with a command: the calibration with its masks, the configuration of a merge with its logs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devices.core.errors import ConfigurationError
from devices.saxs.results import Attachment
from servers.facility.document import read_json


def queue_files(
    calibration: Path, mask: Path | None = None, directory: str | None = None
) -> tuple[Mapping[str, Any], list[Attachment]]:
    """The calibration of a new queue, and the files of its masks in their order.

    Args:
        calibration: its file; masks that it names are looked up beside it, then in the present folder.
        mask: in the place of the first mask that the calibration names.
        directory: below the server's base folder, in the place of the one that the calibration names.

    Raises:
        ConfigurationError: a file is missing, or is no calibration.
    """
    document = _object(calibration)
    masks = document.get("Masks", [])
    if not isinstance(masks, list) or not all(isinstance(each, dict) for each in masks):
        raise ConfigurationError(str(calibration), ["Masks is no list of groups of keys"])
    if mask is not None:
        masks = [{**(masks[0] if masks else {}), "MaskFile": str(mask)}, *masks[1:]]
        document = {**document, "Masks": masks}
    if directory is not None:
        document = {**document, "Directory": components(directory)}
    found = []
    for number, each in enumerate(masks):
        name = each.get("MaskFile", "")
        if not isinstance(name, str):
            raise ConfigurationError(str(calibration), [f"Masks > {number} > MaskFile: must be a text"])
        given = number == 0 and mask is not None
        if name:
            found.append(Attachment(name, _bytes(calibration, name, Path() if given else calibration.parent)))
    return document, found


def merge_files(configuration: Path) -> tuple[Mapping[str, Any], list[Attachment]]:
    """The configuration of a merge, and the logs that lie with the client.

    Raises:
        ConfigurationError: a file is missing, or is no configuration.
    """
    document = _object(configuration)
    try:
        files = [file for table in document.get("LogDataTables", []) for file in table.get("Files", [])]
        names = [name for file in files if (name := file.get("LocalPath"))]
        return document, [Attachment(name, _bytes(configuration, name, configuration.parent)) for name in names]
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(
            str(configuration), [f"LogDataTables is no list of tables with Files: {error}"]
        ) from error


def components(path: str) -> list[str]:
    """A path as the protocol has it; of an absolute one the first component is empty."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ["", *parts] if path.startswith("/") else parts or ["."]


def _object(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise ConfigurationError(str(path), ["is no group of keys"])
    return document


def _bytes(document: Path, name: str, folder: Path) -> bytes:
    for path in dict.fromkeys((folder / name, Path(name))):
        if path.is_file():
            return path.read_bytes()
    raise ConfigurationError(str(document), [f"{name}: no such file, neither in {folder.resolve()} nor here"])
