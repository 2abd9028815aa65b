"""Facility file -> Tango database: what differs, shown first, then applied.

The rules are those of dsconfig: the file decides about the devices of its servers and about the properties of a device
that has a ``properties`` group; what Tango itself keeps (memorized values, polling, alarm limits changed by a client)
stays unless the file names it. dsconfig's own dry run also reports a "delete 1 device alias" that never happens, so
only its bulk reading is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tango
from dsconfig.tangodb import get_classes_properties, get_servers_with_filters, is_protected

from servers.facility import record
from servers.facility.facility_file import SERVER_NAME, Facility, Properties, short_server_name
from servers.facility.instance import Instance, resume, stop
from servers.facility.place import database_of, facility_of
from servers.facility.rehearsal import rehearse
from servers.facility.tango_database import open_database

Apply = Callable[[tango.Database], None]
Kind = Literal["add", "change", "delete"]

_SIGNS: Mapping[Kind, str] = {"add": "+", "change": "~", "delete": "-"}


@dataclass(frozen=True)
class Change:
    """One difference between a facility file and the database.

    Attributes:
        kind: what happens to the thing.
        text: the thing, and its old and new value.
        server: the server that reads it when it starts; None for a thing of no single server.
        apply: makes the change in the database.
    """

    kind: Kind
    text: str
    server: str | None
    apply: Apply

    def __str__(self) -> str:
        return f"{_SIGNS[self.kind]} {self.text}"


def register(
    file: Path, *, dry_run: bool, restart: bool, state_dir: Path, port_offset: int, tango_host: str | None
) -> Iterator[str]:
    """Bring a Tango database up to a facility file; gives the lines to show: the differences first.

    Raises:
        ConfigurationError: the file is wrong; nothing was changed.
        NotConnectedError: there is no database.
    """
    facility = facility_of(file, state_dir, port_offset, to_run=False)
    rehearse(facility)
    host = database_of(state_dir, tango_host or facility.tango_host)
    database = open_database(host)
    running = record.running(state_dir)
    own = running is not None and running.own_database and running.tango_host == host
    whole = own and running is not None and Path(running.facility) == facility.path
    changes = differences(facility, database, whole=whole)
    yield from map(str, changes)
    if not changes:
        yield f"{host} agrees with {file}: nothing to do"
        return
    if dry_run:
        yield f"{len(changes)} changes, none made (dry run)"
        return
    apply(changes, database)
    yield f"{len(changes)} changes made in {host}"
    for server in running_servers(changes, database):
        name = short_server_name(server)
        if restart and own:
            stop(name, state_dir)
            yield resume(name, state_dir) or Instance(name, facility, host).start_in_background()
        else:
            hint = f"`diptych register {file} --restart` restarts it" if own else "restart it where it runs"
            yield f"{name} runs; what changed (alarm limits too) holds from its next restart: {hint}"


def differences(facility: Facility, database: tango.Database, *, whole: bool = False) -> list[Change]:
    """What has to change in the database so that it agrees with the facility file; empty when nothing has to.

    Args:
        facility: what should be.
        database: what is.
        whole: the database is this facility's own, so servers of ours that the file does not name are deleted.
    """
    changes: list[Change] = []
    for server, classes in facility.devices.items():
        known = _devices_of(database, server)
        for class_name, devices in classes.items():
            for device, properties in devices.items():
                old_class, old = known.pop(device.casefold(), ("", {}))
                changes += _device_changes(database, server, class_name, device, old_class)
                changes += _content_changes(facility, server, device, properties, old)
        for name, (class_name, _) in known.items():
            changes.append(_deleted_device(name, server, class_name))
    changes += _class_changes(facility, database)
    if whole:
        changes += _vanished_servers(facility, database)
    return changes


def apply(changes: Iterable[Change], database: tango.Database) -> None:
    """Make the changes, in order."""
    for change in changes:
        change.apply(database)


def running_servers(changes: Iterable[Change], database: tango.Database) -> list[str]:
    """The servers that run now and read what was changed only when they start."""
    names = dict.fromkeys(change.server for change in changes if change.server)
    exported = {name.casefold() for name in database.get_device_exported("dserver/*")}
    return [name for name in names if f"dserver/{name}".casefold() in exported]


def _devices_of(database: tango.Database, server: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Device (caseless) -> class and what dsconfig reads of it."""
    program, _, instance = server.partition("/")
    content = get_servers_with_filters(database, server=server).to_dict()
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for other_program, instances in content.items():
        for other_instance, classes in instances.items():
            # The query takes _ for any letter.
            if (other_program.casefold(), other_instance.casefold()) == (program.casefold(), instance.casefold()):
                for class_name, devices in classes.items():
                    found.update({name.casefold(): (class_name, content) for name, content in devices.items()})
    return found


def _device_changes(
    database: tango.Database, server: str, class_name: str, device: str, old_class: str
) -> Iterator[Change]:
    def add(database: tango.Database) -> None:
        info = tango.DbDevInfo()
        info.server, info._class, info.name = server, class_name, device
        database.add_device(info)

    if old_class.casefold() == class_name.casefold():
        return
    if old_class:
        yield Change("change", f"device {device}: class {old_class} -> {class_name}", server, add)
        return
    try:
        home = database.get_device_info(device).ds_full_name
    except tango.DevFailed:
        yield Change("add", f"device {device}: class {class_name} in server {server}", server, add)
    else:
        yield Change("change", f"device {device}: server {home} -> {server}, class {class_name}", server, add)


def _deleted_device(device: str, server: str, class_name: str) -> Change:
    return Change(
        "delete",
        f"device {device}: class {class_name} in server {server}",
        server,
        lambda database: database.delete_device(device),
    )


def _content_changes(
    facility: Facility, server: str, device: str, properties: Properties, old: Mapping[str, Any]
) -> Iterator[Change]:
    def keep(name: str) -> bool:
        return device in facility.unmanaged or is_protected(name)

    yield from _property_changes(_Owner("device", device), server, properties, old.get("properties", {}), keep)
    old_attributes = _caseless(old.get("attribute_properties", {}))
    for attribute, group in facility.attribute_properties.get(device, {}).items():
        owner, present = _Owner("device", device, attribute), old_attributes.get(attribute.casefold(), {})
        yield from _property_changes(owner, server, group, present, keep=lambda name: is_protected(name, attr=True))
    alias = facility.aliases.get(device)
    if alias and alias != old.get("alias"):
        yield Change(
            "change" if old.get("alias") else "add",
            f"alias {alias} of {device}",
            None,
            lambda database: database.put_device_alias(device, alias),
        )


def _class_changes(facility: Facility, database: tango.Database) -> Iterator[Change]:
    if not facility.class_properties and not facility.class_attribute_properties:
        return
    known = _caseless(get_classes_properties(database))
    for class_name, properties in facility.class_properties.items():
        old = known.get(class_name.casefold(), {})
        yield from _property_changes(_Owner("class", class_name), None, properties, old.get("properties", {}))
        old_attributes = _caseless(old.get("attribute_properties", {}))
        for attribute, group in facility.class_attribute_properties.get(class_name, {}).items():
            owner, present = _Owner("class", class_name, attribute), old_attributes.get(attribute.casefold(), {})
            yield from _property_changes(owner, None, group, present)


def _vanished_servers(facility: Facility, database: tango.Database) -> Iterator[Change]:
    wanted = {server.casefold() for server in facility.devices}
    for server in database.get_server_list(f"{SERVER_NAME}/*"):
        if server.casefold() not in wanted:
            yield Change("delete", f"server {server}", None, _delete_server(server))


def _delete_server(server: str) -> Apply:
    return lambda database: database.delete_server(server)


@dataclass(frozen=True)
class _Owner:
    """What a property belongs to: a device or a class, or an attribute of either."""

    kind: Literal["device", "class"]
    name: str
    attribute: str | None = None

    def __str__(self) -> str:
        text = self.name if self.kind == "device" else f"class {self.name}"
        return f"{text}/{self.attribute}" if self.attribute else text

    def put(self, name: str, lines: list[str]) -> Apply:
        return self._call("put", {name: lines})

    def delete(self, name: str) -> Apply:
        return self._call("delete", [name])

    def _call(self, verb: str, content: object) -> Apply:
        if self.attribute is None:
            return lambda database: getattr(database, f"{verb}_{self.kind}_property")(self.name, content)
        method, group = f"{verb}_{self.kind}_attribute_property", {self.attribute: content}
        return lambda database: getattr(database, method)(self.name, group)


def _property_changes(
    owner: _Owner,
    server: str | None,
    wanted: Properties,
    old: Mapping[str, Iterable[str]],
    keep: Callable[[str], bool] = lambda name: True,
) -> Iterator[Change]:
    present = {name.casefold(): (name, list(lines)) for name, lines in old.items()}
    for name, lines in wanted.items():
        stored_name, stored = present.pop(name.casefold(), (name, []))
        if lines == stored:
            continue
        if not lines:
            yield _deleted_property(owner, server, stored_name, stored)
        elif stored:
            text = f"{owner} {name}: {_shown(stored)} -> {_shown(lines)}"
            yield Change("change", text, server, owner.put(stored_name, lines))
        else:
            yield Change("add", f"{owner} {name} = {_shown(lines)}", server, owner.put(name, lines))
    for name, stored in present.values():
        if not keep(name):
            yield _deleted_property(owner, server, name, stored)


def _deleted_property(owner: _Owner, server: str | None, name: str, lines: list[str]) -> Change:
    return Change("delete", f"{owner} {name} (was {_shown(lines)})", server, owner.delete(name))


def _caseless(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name.casefold(): content for name, content in group.items()}


def _shown(lines: Iterable[str]) -> str:
    text = " | ".join(lines)
    return text if len(text) <= 80 else text[:77] + "..."
