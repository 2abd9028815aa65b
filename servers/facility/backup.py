"""A facility in one file: its configuration, and what its Tango database has of it, memorized values included.

The file is a ``.tar.gz`` that only its owner may read, since it may hold password hashes:

- ``manifest.json``: version of Diptych, name of the facility, when and from which database;
- ``configuration/``: the two files of the facility, and the files beside them that they name;
- ``database.json``: the devices of its servers with all properties, in the form of dsconfig.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

import tango

from devices.core.errors import BadValueError, ConfigurationError, RefusedError
from servers import registry
from servers.facility.change import Change
from servers.facility.facility_file import Facility, read_facility
from servers.facility.property_owner import PropertyOwner
from servers.facility.tango_database import devices_of, open_database

MANIFEST: Final = "manifest.json"
DATABASE: Final = "database.json"
FOLDER: Final = PurePosixPath("configuration")
MEMBER_BYTES: Final = 64 << 20  # of one file; what is larger is data, not configuration


def back_up(facility: Facility, tango_host: str, target: Path) -> Iterator[str]:
    """Write a backup; gives the lines to show.

    Raises:
        ConfigurationError: a file of the facility is too large.
        NotConnectedError: the database does not answer.
        OSError: the target cannot be written.
    """
    content = database_content(facility, open_database(tango_host))
    manifest = {
        "diptych": version("diptych"),
        "facility": facility.path.name,
        "tango_host": tango_host,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    draft = target.with_name(f"{target.name}.new")
    draft.unlink(missing_ok=True)
    files = configuration_files(facility)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz", dereference=True) as archive:
            _add_text(archive, MANIFEST, json.dumps(manifest, indent=1))
            _add_text(archive, DATABASE, json.dumps(content, indent=1, ensure_ascii=False))
            for file in files:
                archive.add(file, str(FOLDER / file.relative_to(facility.path.parent).as_posix()))
        raw.flush()
        os.fsync(raw.fileno())
    os.replace(draft, target)
    devices = sum(len(names) for classes in facility.devices.values() for names in classes.values())
    yield f"{target}: {len(files)} files and {devices} devices of {facility.path.name}, from {tango_host}"


def restore(source: Path, folder: Path, *, overwrite: bool) -> Iterator[str]:
    """Write the configuration files of a backup into a folder; gives the lines to show.

    Raises:
        BadValueError: it is no backup.
        RefusedError: a file there differs and may not be overwritten; nothing was written.
    """
    with _opened(source) as archive:
        members = [each for each in archive.getmembers() if FOLDER in PurePosixPath(each.name).parents]
        texts: dict[Path, tuple[bytes, int]] = {}
        for member in members:
            name = PurePosixPath(member.name).relative_to(FOLDER)
            if not member.isfile() or name.is_absolute() or ".." in name.parts:
                raise BadValueError(f"{source}: {member.name} is not what a backup has")
            texts[folder / name] = (_bytes(archive, member), member.mode & 0o777)
    differing = [path for path, (text, _) in texts.items() if path.exists() and path.read_bytes() != text]
    if differing and not overwrite:
        raise RefusedError(f"{', '.join(map(str, differing))}: differ from the backup; --overwrite replaces them")
    for path, (text, mode) in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(text)
        yield f"{path}{' replaced' if path in differing else ''}"


def restore_database(source: Path, facility: Facility, tango_host: str) -> Iterator[str]:
    """Bring a database up to what a backup has of it; gives the lines to show.

    Raises:
        BadValueError: it is no backup.
        BusyError: servers of the facility run; nothing was changed.
        NotConnectedError: the database does not answer.
        RefusedError: the database does not take something.
    """
    with _opened(source) as archive:
        content = _object(archive, DATABASE)
    registry.refuse_running(facility, tango_host, "restored")
    with tempfile.TemporaryDirectory(prefix="diptych-restore-") as folder:
        file = Path(folder, facility.path.name)
        file.write_text(json.dumps(content))
        saved = read_facility(file, state_dir=facility.state_dir, to_run=False)
    database, count = open_database(tango_host), 0
    # At the end what the files say, since their folder may be another one now.
    for find, wanted in (
        (registry.differences, saved),
        (_attribute_changes, saved),
        (registry.differences, facility),
    ):
        changes = list(find(wanted, database))
        yield from map(str, changes)
        registry.apply(changes, database)
        count += len(changes)
    yield f"{count} changes made in {tango_host}"


def facility_name(source: Path) -> str:
    """The name of the facility's file in a backup, ``lab.json``.

    Raises:
        BadValueError: it is no backup.
    """
    with _opened(source) as archive:
        name = _object(archive, MANIFEST).get("facility", "")
    if not isinstance(name, str) or not name or PurePosixPath(name).name != name:
        raise BadValueError(f"{source}: its manifest names no facility")
    return name


def database_content(facility: Facility, database: tango.Database) -> dict[str, Any]:
    """What a database has of the servers and classes of a facility, as a dsconfig file."""
    servers: dict[str, Any] = {}
    for server in facility.devices:
        program, _, instance = server.partition("/")
        classes = servers.setdefault(program, {}).setdefault(instance, {})
        for device, class_name in devices_of(database, server):
            entry = classes.setdefault(class_name, {}).setdefault(device, {})
            entry["properties"] = _escaped(PropertyOwner("device", device).stored(database))
            entry["attribute_properties"] = {
                attribute: group
                for attribute in _attributes(database, device)
                if (group := _escaped(PropertyOwner("device", device, attribute).stored(database)))
            }
    kinds = {class_name for entry in facility.devices.values() for class_name in entry}
    class_properties = {kind: _escaped(PropertyOwner("class", kind).stored(database)) for kind in sorted(kinds)}
    return {
        "servers": servers,
        "classes": {kind: {"properties": group} for kind, group in class_properties.items() if group},
    }


def configuration_files(facility: Facility) -> list[Path]:
    """The two files of a facility, and every file below their folder that they name.

    Raises:
        ConfigurationError: one is larger than 64 MiB.
    """
    home = facility.path.parent
    named = {facility.path, facility.path.with_suffix(".facility.yaml")}
    for text in _texts(facility):
        path = Path(text)
        if path.is_absolute() and home in path.parents:
            named |= {path} if path.is_file() else set()
    found = sorted(path for path in named if path.exists())
    if large := [path for path in found if path.stat().st_size > MEMBER_BYTES]:
        raise ConfigurationError(
            facility.path.name, [f"{path} is larger than 64 MiB: not configuration" for path in large]
        )
    return found


def _attribute_changes(saved: Facility, database: tango.Database) -> Iterator[Change]:
    """What clients have set since the backup, back to what it was then."""
    for server in saved.devices:
        for device in saved.device_names(server):
            then = saved.attribute_properties.get(device, {})
            for attribute in dict.fromkeys([*then, *_attributes(database, device)]):
                owner = PropertyOwner("device", device, attribute, server)
                yield from owner.changes(database, dict(then.get(attribute, {})), lambda name: False)


def _texts(facility: Facility) -> Iterator[str]:
    """Every value of the facility's files that may be the path of a file."""
    groups = [
        group for classes in facility.devices.values() for devices in classes.values() for group in devices.values()
    ]
    for properties in [*groups, *facility.class_properties.values()]:
        for lines in properties.values():
            yield from lines
    for service in facility.services:
        yield from service.options.values()
    for simulator in facility.simulators.values():
        yield from (str(value) for value in simulator.options.values())
    web, history = facility.web, facility.history
    yield from (str(path) for path in (web.users, web.tokens, web.certificate, web.key) if path)
    if history is not None:
        yield from (str(value) for value in vars(history).values() if isinstance(value, Path))


def _attributes(database: tango.Database, device: str) -> list[str]:
    names = tango.StdStringVector()
    database.get_device_attribute_list(device, names)
    return list(names)


def _escaped(properties: dict[str, list[str]]) -> dict[str, list[str]]:
    """So that no @ of a stored text is taken for a reference when it is read as a facility file."""
    return {name: [line.replace("@", "@@") for line in lines] for name, lines in properties.items()}


def _opened(source: Path) -> tarfile.TarFile:
    try:
        archive = tarfile.open(source, "r:gz")  # noqa: SIM115  (the caller closes it)
        archive.getmember(MANIFEST)
        archive.getmember(DATABASE)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise BadValueError(f"{source} is not a backup of a facility: {error}") from error
    return archive


def _object(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    """A JSON object of a backup."""
    try:
        found = json.loads(_bytes(archive, archive.getmember(name)))
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"{name} is not what a backup has: {error}") from error
    if not isinstance(found, dict):
        raise BadValueError(f"{name} is not what a backup has: no JSON object")
    return found


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > MEMBER_BYTES:
        raise BadValueError(f"{member.name} is not what a backup has")
    return file.read()


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    data = text.encode()
    member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
    archive.addfile(member, io.BytesIO(data))
