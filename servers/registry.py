"""Facility file -> Tango database: what differs, shown first, then applied.

The rules are those of dsconfig: the file decides about the devices of its servers and about the properties of a device
that has a ``properties`` group; what Tango itself keeps (memorized values, polling, alarm limits changed by a client)
stays unless the file names it. The database is read by Tango's own commands: dsconfig's queries in SQL bring texts back
without their backslashes from one kind of database and in another encoding from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import tango

from devices.core.errors import BusyError, NotConnectedError, RefusedError
from servers.facility import readiness, record
from servers.facility.change import Change
from servers.facility.facility_file import SERVER_NAME, Facility, Properties, short_server_name
from servers.facility.instance import Instance, resume, stop
from servers.facility.place import database_of, facility_of
from servers.facility.property_owner import PropertyOwner
from servers.facility.rehearsal import rehearse
from servers.facility.tango_database import devices_of, open_database

# Properties of a device that Tango itself writes: what it polls, what it logs.
KEPT_BY_TANGO: Final = frozenset({"polled_attr", "logging_level", "logging_target"})
# Properties of an attribute that clients set by Tango's attribute configuration (and `__value`, the memorized one).
CLIENT_SETTINGS: Final = frozenset(
    "label format unit standard_unit display_unit description mode min_value max_value min_alarm max_alarm min_warning "
    "max_warning delta_t delta_val abs_change rel_change event_period archive_abs_change archive_rel_change "
    "archive_period".split()
)


def register(
    file: Path,
    *,
    dry_run: bool,
    restart: bool,
    remove: bool,
    copy_from: str | None,
    state_dir: Path,
    port_offset: int,
    tango_host: str | None,
) -> Iterator[str]:
    """Bring a Tango database up to a facility file; gives the lines to show: the differences first.

    Args:
        remove: take the servers of the file out of the database instead.
        copy_from: HOST:PORT of another database, from which comes what clients have set there.

    Raises:
        BusyError: servers that shall be removed run; nothing was changed.
        ConfigurationError: the file is wrong; nothing was changed.
        NotConnectedError: there is no database.
        RefusedError: the database does not take a change; those shown before it were made.
    """
    facility = facility_of(file, state_dir, port_offset, to_run=False)
    if not remove:
        rehearse(facility)
    host = database_of(state_dir, tango_host or facility.tango_host)
    database = open_database(host)
    running = record.running(state_dir)
    own = running is not None and running.own_database and running.tango_host == host
    whole = own and running is not None and Path(running.facility) == facility.path
    changes = removal(facility, database) if remove else differences(facility, database, whole=whole)
    if copy_from:
        changes += client_settings(facility, open_database(copy_from), database)
    yield from map(str, changes)
    if not changes:
        yield f"{host} {'has no server of' if remove else 'agrees with'} {file}: nothing to do"
        return
    if dry_run:
        yield f"{len(changes)} changes, none made (dry run)"
        return
    if remove:
        refuse_running(facility, host, "removed")
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
        known = {name.casefold(): (name, class_name) for name, class_name in devices_of(database, server)}
        for class_name, devices in classes.items():
            for device, properties in devices.items():
                _, old_class = known.pop(device.casefold(), ("", ""))
                changes += _device_changes(database, server, class_name, device, old_class)
                changes += _content_changes(facility, database, server, device, properties)
        for name, class_name in known.values():
            changes.append(_deleted_device(name, server, class_name))
    changes += _class_changes(facility, database)
    if whole:
        changes += _vanished_servers(facility, database)
    return changes


def bring_up_to_date(facility: Facility, tango_host: str, *, whole: bool, show: Callable[[str], None]) -> int:
    """Make a database agree with the facility file; returns how many things had to change.

    Args:
        whole: the database is this facility's own, so servers of ours that the file does not name are deleted.
        show: gets each difference of a database that others use, too, before the first is made.

    Raises:
        NotConnectedError: the database does not answer, or does not take a change.
    """
    try:
        database = open_database(tango_host)
        changes = differences(facility, database, whole=whole)
        for change in () if whole else changes:
            show(f"  {change}")
        apply(changes, database)
    except tango.DevFailed as error:
        raise NotConnectedError(f"the Tango database at {tango_host}: {error.args[0].desc}") from error
    except RefusedError as error:
        raise NotConnectedError(f"{tango_host}: {error}") from error
    if changes:
        show(f"registered {len(changes)} changes of {facility.path.name}")
    return len(changes)


def client_settings(facility: Facility, source: tango.Database, database: tango.Database) -> Iterator[Change]:
    """What clients have set in another database and the file does not name: bounds, limits, units, memorized values.

    Of a device whose properties the file leaves to the database, those come, too.
    """
    for server in facility.devices:
        for device in facility.device_names(server):
            if device in facility.unmanaged:
                home = PropertyOwner("device", device, None, server)
                yield from home.changes(database, home.stored(source))
            in_file = {
                attribute.casefold(): {name.casefold() for name in group}
                for attribute, group in facility.attribute_properties.get(device, {}).items()
            }
            attributes = tango.StdStringVector()
            source.get_device_attribute_list(device, attributes)
            for attribute in attributes:
                owner = PropertyOwner("device", device, attribute, server)
                named = in_file.get(attribute.casefold(), set())
                found = {name: lines for name, lines in owner.stored(source).items() if name.casefold() not in named}
                yield from owner.changes(database, found)


def removal(facility: Facility, database: tango.Database) -> list[Change]:
    """What takes the servers of a facility out of the database, with all that is kept for their devices.

    Properties of classes stay: servers of other facilities may have the same classes.
    """
    changes: list[Change] = []
    for server in facility.devices:
        known = devices_of(database, server)
        changes += [_deleted_device(name, server, class_name) for name, class_name in known]
        if known:
            changes.append(_deleted_server(server))
    return changes


def refuse_running(facility: Facility, host: str, what: str) -> None:
    """Demand that no server of a facility runs with a database.

    Raises:
        BusyError: some do; ``what`` (`removed`) did not happen.
    """
    silent = readiness.silent_servers(host, facility.devices)
    if running := [short_server_name(server) for server in facility.devices if server not in silent]:
        raise BusyError(
            f"these servers of {facility.path.name} run: {', '.join(running)}; stop them first, nothing was {what}"
        )


def apply(changes: Iterable[Change], database: tango.Database) -> None:
    """Make the changes, in order.

    Raises:
        RefusedError: the database does not take one; those before it were made.
    """
    for change in changes:
        try:
            change.apply(database)
        except tango.DevFailed as error:
            reason = " ".join(error.args[0].desc.split())
            raise RefusedError(f"the Tango database does not take `{change}`: {reason}") from error


def running_servers(changes: Iterable[Change], database: tango.Database) -> list[str]:
    """The servers that run now and read what was changed only when they start."""
    names = dict.fromkeys(change.server for change in changes if change.server)
    exported = {name.casefold() for name in database.get_device_exported("dserver/*")}
    return [name for name in names if f"dserver/{name}".casefold() in exported]


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
    facility: Facility, database: tango.Database, server: str, device: str, properties: Properties
) -> Iterator[Change]:
    def keep(name: str) -> bool:
        return device in facility.unmanaged or name.startswith("_") or name.casefold() in KEPT_BY_TANGO

    yield from PropertyOwner("device", device, None, server).changes(database, properties, keep)
    for attribute, group in facility.attribute_properties.get(device, {}).items():
        owner = PropertyOwner("device", device, attribute, server)
        yield from owner.changes(database, group, _is_client_setting)
    alias = facility.aliases.get(device)
    if alias and alias != (old_alias := _alias(database, device)):
        yield Change(
            "change" if old_alias else "add",
            f"alias {alias} of {device}",
            None,
            lambda database: database.put_device_alias(device, alias),
        )


def _is_client_setting(name: str) -> bool:
    return name.startswith("_") or name.casefold() in CLIENT_SETTINGS


def _alias(database: tango.Database, device: str) -> str | None:
    try:
        return str(database.get_alias_from_device(device))
    except tango.DevFailed:
        return None


def _class_changes(facility: Facility, database: tango.Database) -> Iterator[Change]:
    for class_name, properties in facility.class_properties.items():
        yield from PropertyOwner("class", class_name).changes(database, properties)
    for class_name, attributes in facility.class_attribute_properties.items():
        for attribute, group in attributes.items():
            yield from PropertyOwner("class", class_name, attribute).changes(database, group)


def _vanished_servers(facility: Facility, database: tango.Database) -> Iterator[Change]:
    wanted = {server.casefold() for server in facility.devices}
    for server in database.get_server_list(f"{SERVER_NAME}/*"):
        if server.casefold() not in wanted:
            yield _deleted_server(server)


def _deleted_server(server: str) -> Change:
    return Change("delete", f"server {server}", None, lambda database: database.delete_server(server))
