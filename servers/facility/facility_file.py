"""A facility as its two files describe it: ``NAME.json`` (pure dsconfig) and ``NAME.facility.yaml`` beside it."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError, RangeError
from servers.facility import address
from servers.facility.document import key_path, read_json, read_yaml, schema_problems
from servers.facility.epics_servers import with_servers
from servers.facility.history_settings import HistorySettings, history_settings
from servers.facility.ports import DEFAULT_PORTS, Ports
from servers.facility.references import resolve
from servers.facility.spelling import did_you_mean
from servers.facility.web_settings import WebSettings, web_settings
from servers.native import NativeService

SERVER_NAME: Final = "Diptych"

Properties = dict[str, list[str]]


@dataclass(frozen=True)
class Simulator:
    """The other end of a driver: module ``devices.simulators.KIND``, its port (shifted; 0: none) and its options."""

    name: str
    kind: str
    port: int = 0
    options: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Facility:
    """Everything a facility consists of, checked, with every ``@service`` reference resolved.

    Attributes:
        name: the file's name without ``.json``.
        path: the dsconfig file.
        state_dir: where the database, logs and files of this facility lie.
        ports: the port table, shifted, with one ``sim.NAME`` for each simulator that has a port, and the address that
            Tango listens on.
        devices: server (``Diptych/cryocon``) -> class -> device -> property -> lines.
        unmanaged: devices without a ``properties`` group: what the database has for them stays.
        attribute_properties: device -> attribute -> property -> lines (no lines: to be removed).
        aliases: device -> alias.
        class_properties: class -> property -> lines.
        class_attribute_properties: class -> attribute -> property -> lines.
        classes: class -> import path (``devices.cryocon:CryoCon``).
        simulators: name -> simulator.
        mirrors: the servers that serve EPICS.
        start_order: every server that ``diptych up`` starts, in that order.
        programs: server -> command line, for servers that are not of this project.
        services: what devices serve beside Tango: the protocols of the instruments' own clients.
        panels: the folder of operator panels that browsers get, or None for no web server.
        web: where the panels are served, and to whom.
        history: how the PVs are recorded, or None when they are not.
        pv_servers: ``ca`` and ``pva`` -> HOST:PORT of EPICS servers beside the mirrors, for devices that reach PVs
            and for clients; ``mirrors`` -> the prefixes of the mirrors among them.
        tango_host: HOST:PORT of an existing database, or None for the embedded one.
    """

    name: str
    path: Path
    state_dir: Path
    ports: Ports
    devices: Mapping[str, Mapping[str, Mapping[str, Properties]]]
    unmanaged: frozenset[str] = frozenset()
    attribute_properties: Mapping[str, Mapping[str, Properties]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    class_properties: Mapping[str, Properties] = field(default_factory=dict)
    class_attribute_properties: Mapping[str, Mapping[str, Properties]] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    simulators: Mapping[str, Simulator] = field(default_factory=dict)
    mirrors: tuple[str, ...] = ()
    start_order: tuple[str, ...] = ()
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    services: tuple[NativeService, ...] = ()
    panels: Path | None = None
    web: WebSettings = field(default_factory=WebSettings)
    history: HistorySettings | None = None
    pv_servers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tango_host: str | None = None

    def server(self, instance: str) -> Mapping[str, Mapping[str, Properties]]:
        """The devices of one server: class -> device -> properties; ``instance`` is ``cryocon`` or ``Diptych/cryocon``.

        Raises:
            ConfigurationError: the facility has no such server.
        """
        name = full_server_name(instance)
        try:
            return self.devices[name]
        except KeyError:
            known = [short_server_name(server) for server in self.devices]
            raise ConfigurationError(
                str(self.path), [f"no server {instance}{did_you_mean(short_server_name(name), known)}"]
            ) from None

    def device_names(self, server: str | None = None) -> list[str]:
        """The devices of one server, or of all."""
        servers = self.devices.values() if server is None else [self.server(server)]
        return [device for classes in servers for devices in classes.values() for device in devices]


def full_server_name(instance: str) -> str:
    """``cryocon`` -> ``Diptych/cryocon``; a name with a slash stays as it is."""
    return instance if "/" in instance else f"{SERVER_NAME}/{instance}"


def short_server_name(server: str) -> str:
    """``Diptych/cryocon`` -> ``cryocon``; a server that is not of this project keeps its full name."""
    return server.removeprefix(f"{SERVER_NAME}/")


def read_facility(path: Path, *, state_dir: Path, offset: int = 0, to_run: bool = True) -> Facility:
    """Read and check the two files of a facility.

    Args:
        path: the dsconfig JSON file; ``NAME.facility.yaml`` is looked for beside it.
        state_dir: what ``@state`` stands for.
        offset: added to every port.
        to_run: demand an import path for each class of ours; a plain dsconfig file can be registered without.

    Raises:
        ConfigurationError: with every problem of both files.
    """
    path, state_dir = path.absolute(), state_dir.absolute()
    configuration = read_json(path)
    problems = schema_problems(configuration, _schema("dsconfig.schema.json"))
    extra_path = path.with_suffix(".facility.yaml")
    extra = (read_yaml(extra_path) or {}) if extra_path.exists() else {}
    extra_problems = schema_problems(extra, _schema("facility.schema.json"))
    if problems or extra_problems:
        raise ConfigurationError(
            path.name, [*problems, *(f"{extra_path.name}: {problem}" for problem in extra_problems)]
        )
    facility, problems = _assemble(path, state_dir, offset, configuration, extra)
    problems += _clashes(facility, to_run)
    if problems:
        raise ConfigurationError(path.name, problems)
    return facility


def _assemble(
    path: Path, state_dir: Path, offset: int, configuration: Mapping[str, Any], extra: Mapping[str, Any]
) -> tuple[Facility, list[str]]:
    problems: list[str] = []
    simulators = extra.get("simulators", {})
    for service in extra.get("ports", {}):
        if service not in DEFAULT_PORTS:
            problems.append(f"ports > {service}: unknown service{did_you_mean(service, DEFAULT_PORTS)}")
    services = {f"sim.{name}": entry["port"] for name, entry in simulators.items() if "port" in entry}
    try:
        bind = address.check(extra.get("bind", address.LOOPBACK))
        web, wrong = web_settings(extra.get("web", {}), path.parent)
        ports = Ports(offset=offset, bind=bind, web_bind=web.bind).with_services({**extra.get("ports", {}), **services})
    except (BadValueError, RangeError) as error:
        raise ConfigurationError(path.name, [str(error)]) from error

    folders = {"state": state_dir, "here": path.parent}

    def resolved(text: str, *keys: object) -> str:
        value, unknown = resolve(text, ports, folders)
        problems.extend(f"{key_path(keys)}: {line}" for line in unknown)
        return value

    def properties(group: Mapping[str, list[str]], *keys: object) -> Properties:
        return {name: [resolved(line, *keys, name) for line in lines] for name, lines in group.items()}

    devices: dict[str, dict[str, dict[str, Properties]]] = {}
    attribute_properties: dict[str, dict[str, Properties]] = {}
    unmanaged: set[str] = set()
    aliases: dict[str, str] = {}
    for program, instances in configuration.get("servers", {}).items():
        for instance, classes in instances.items():
            server = devices.setdefault(f"{program}/{instance}", {})
            for class_name, entries in classes.items():
                for name, entry in entries.items():
                    set_properties = properties(entry.get("properties", {}), name)
                    server.setdefault(class_name, {})[name] = {key: v for key, v in set_properties.items() if v}
                    if "properties" not in entry:
                        unmanaged.add(name)
                    attribute_properties[name] = {
                        attribute: properties(group, name, attribute)
                        for attribute, group in entry.get("attribute_properties", {}).items()
                    }
                    if entry.get("alias"):
                        aliases[name] = entry["alias"]

    programs = {
        full_server_name(name): tuple(resolved(word, "programs", name) for word in words)
        for name, words in extra.get("programs", {}).items()
    }
    started = [name for name in devices if name.startswith(f"{SERVER_NAME}/") or name in programs]
    first = [full_server_name(name) for name in extra.get("start_order", ())]
    mirrors = tuple(full_server_name(name) for name in extra.get("mirrors", ()))
    for group, names in (("start_order", first), ("mirrors", mirrors), ("programs", programs)):
        for name in names:
            if name not in devices:
                known = [short_server_name(server) for server in devices]
                problems.append(f"{group}: no server {name}{did_you_mean(short_server_name(name), known)}")

    native = tuple(
        NativeService(
            name=name,
            kind=entry["kind"],
            device=entry["device"],
            options={key: resolved(value, "services", name, key) for key, value in entry.get("options", {}).items()},
        )
        for name, entry in extra.get("services", {}).items()
    )
    homes = {name.casefold() for classes in devices.values() for each in classes.values() for name in each}
    problems += [
        f"services > {each.name}: no device {each.device}{did_you_mean(each.device, homes)}"
        for each in native
        if each.device.casefold() not in homes
    ]
    history, wrong_history = history_settings(extra.get("history", False), path.parent)
    extra_name = path.with_suffix(".facility.yaml").name
    problems += [f"{extra_name}: {problem}" for problem in (*wrong, *wrong_history)]
    if history is not None and not mirrors:
        problems.append("history: PVs are recorded, and there are no mirrors that serve any")
    facility = Facility(
        name=path.stem,
        path=path,
        state_dir=state_dir,
        ports=ports,
        devices=devices,
        unmanaged=frozenset(unmanaged),
        attribute_properties=attribute_properties,
        aliases=aliases,
        class_properties={
            name: properties(group.get("properties", {}), "classes", name)
            for name, group in configuration.get("classes", {}).items()
        },
        class_attribute_properties={
            name: {
                attribute: properties(lines, "classes", name, attribute)
                for attribute, lines in group.get("attribute_properties", {}).items()
            }
            for name, group in configuration.get("classes", {}).items()
        },
        classes=extra.get("classes", {}),
        simulators={
            name: Simulator(
                name=name,
                kind=entry["kind"],
                port=ports[f"sim.{name}"] if "port" in entry else 0,
                options={
                    key: resolved(value, "simulators", name, key) if isinstance(value, str) else value
                    for key, value in entry.get("options", {}).items()
                },
            )
            for name, entry in simulators.items()
        },
        mirrors=mirrors,
        start_order=tuple(dict.fromkeys([*(name for name in first if name in started), *started])),
        programs=programs,
        services=native,
        panels=Path(os.path.normpath(path.parent / extra["panels"])) if "panels" in extra else None,
        web=web,
        history=history,
        pv_servers=extra.get("pv_servers", {}),
        tango_host=extra.get("tango_host"),
    )
    return with_servers(facility), problems


def _clashes(facility: Facility, to_run: bool) -> list[str]:
    """Names that stand for two things, classes and simulators that do not exist."""
    problems = []
    extra = facility.path.with_suffix(".facility.yaml").name
    homes: dict[str, str] = {}  # Tango names are caseless
    prefixes: dict[str, str] = {}
    for server, classes in facility.devices.items():
        needs_class = to_run and server.startswith(f"{SERVER_NAME}/") and server not in facility.programs
        for class_name, devices in classes.items():
            if needs_class and class_name not in facility.classes:
                hint = did_you_mean(class_name, facility.classes)
                problems.append(
                    f"{server}: unknown class {class_name}: classes in {extra} has no import path for it{hint}"
                )
            for name, properties in devices.items():
                if name.casefold() in homes:
                    problems.append(f"{name}: is a device of {homes[name.casefold()]} and of {server}/{class_name}")
                homes[name.casefold()] = f"{server}/{class_name}"
                for prefix in lines_of(properties, "pv_prefix"):
                    owner = prefixes.setdefault(prefix, name)
                    if owner != name:
                        problems.append(f"{name}: pv_prefix {prefix} is that of {owner} too, so their PVs would clash")
    ports: dict[int, str] = {}
    for service in facility.ports.table:
        owner = ports.setdefault(facility.ports[service], service)
        if owner != service:
            problems.append(f"port {facility.ports[service]}: both {owner} and {service} have it")
    if facility.panels is not None and not facility.panels.is_dir():
        problems.append(f"panels in {extra}: there is no folder {facility.panels}")
    for name, path in facility.classes.items():
        problems += _missing_module(f"classes > {name}", path.partition(":")[0])
    for simulator in facility.simulators.values():
        problems += _missing_module(f"simulators > {simulator.name}", f"devices.simulators.{simulator.kind}")
    return problems


def lines_of(properties: Properties, name: str) -> list[str]:
    """The lines of a property, none when it is not set; Tango's property names are caseless."""
    return [line for key, lines in properties.items() if key.casefold() == name for line in lines]


def _missing_module(where: str, module: str) -> list[str]:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    return [] if found else [f"{where}: there is no module {module}"]


def _schema(name: str) -> Mapping[str, Any]:
    text = resources.files("servers.facility").joinpath(name).read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema
