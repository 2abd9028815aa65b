"""The records of one device: made for what is new, kept for what stays, taken out for what is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from devices.core.errors import DiptychError
from servers.epics.alarm import Alarm
from servers.epics.attribute_source import AttributeSource
from servers.epics.commands import CommandSource
from servers.epics.configuration import MirroredDevice
from servers.epics.declaration import AttributeSpec, CommandSpec, DeviceSpec
from servers.epics.records import Record


class Registry(Protocol):
    """Where records are entered to be served."""

    def register(self, device: str, part: str, records: Iterable[Record]) -> None:
        """Serve the records of one attribute or command; those that are served already stay as they are."""

    def unregister(self, device: str, parts: Collection[str]) -> None:
        """Serve nothing of these attributes and commands any more; their clients are disconnected."""

    def refer(self, device: str, wanted: MirroredDevice, spec: DeviceSpec | None) -> None:
        """Have another process serve the part of a device that this one does not; None: nothing of it any more."""


class DeviceRecords:
    """The attributes and commands of one device, by name.

    Args:
        device: its name in the registry.
        new_attribute, new_command: make a source for a prefix.
    """

    def __init__(
        self,
        device: str,
        registry: Registry,
        new_attribute: Callable[[AttributeSpec, str], AttributeSource],
        new_command: Callable[[CommandSpec, str], CommandSource],
    ) -> None:
        self._device, self._registry = device, registry
        self._new_attribute, self._new_command = new_attribute, new_command
        self._lock = threading.Lock()
        self._prefix = ""
        self._closed = False
        self.attributes: dict[str, AttributeSource] = {}
        self.commands: dict[str, CommandSource] = {}
        self.notes: tuple[str, ...] = ()

    def follow(self, spec: DeviceSpec, wanted: MirroredDevice) -> list[AttributeSource]:
        """Have the records of what the device has now; returns the attributes that are new.

        Clients of what stays the same notice nothing. After ``close`` nothing is done.
        """
        with self._lock:
            if self._closed:
                return []
            notes = list(spec.notes)
            former = self._parts()
            keep = spec.prefix == self._prefix
            attributes: dict[str, AttributeSource] = {}
            for attribute in spec.attributes:
                known = self.attributes.get(attribute.name) if keep else None
                try:
                    if known is None or known.spec.shape != attribute.shape:
                        known = self._new_attribute(attribute, spec.prefix)
                except DiptychError as error:
                    notes.append(f"attribute {attribute.name} is not mirrored: {error}")
                    continue
                known.adopt(attribute, wanted.period_of(attribute.name))
                attributes[attribute.name] = known
            for source in attributes.values():
                bound = attributes.get(source.spec.highest)
                source.obey(None if bound is None else bound.readback)
            commands: dict[str, CommandSource] = {}
            for command in spec.commands:
                runner = self.commands.get(command.name) if keep else None
                try:
                    if runner is None or runner.spec != command:
                        runner = self._new_command(command, spec.prefix)
                except DiptychError as error:
                    notes.append(f"command {command.name} is not mirrored: {error}")
                    continue
                commands[command.name] = runner
            left = set(self.commands.values()) - set(commands.values())
            new = [source for name, source in attributes.items() if self.attributes.get(name) is not source]
            self.attributes, self.commands = attributes, commands
            self.notes, self._prefix = tuple(notes), spec.prefix
            self._serve(former)
        for command_source in left:
            command_source.close()
        return new

    def mark(self, alarm: Alarm) -> None:
        """Every value keeps its last state with this alarm."""
        for source in self._parts().values():
            source.mark(alarm)

    def close(self) -> None:
        """Serve nothing of this device any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for command in self.commands.values():
            command.close()  # before its clients are disconnected: whoever waits for an operation is told
        self._registry.unregister(self._device, set(self._parts()))

    def _parts(self) -> dict[str, AttributeSource | CommandSource]:
        return {**self.attributes, **{f"{name}()": command for name, command in self.commands.items()}}

    def _serve(self, former: dict[str, AttributeSource | CommandSource]) -> None:
        present = self._parts()
        gone = {part for part, source in former.items() if present.get(part) is not source}
        if gone:
            self._registry.unregister(self._device, gone)
        if gone or len(present) > len(former):
            # All of them: a name that is free now may be wanted by one that stays.
            for part, source in present.items():
                self._registry.register(self._device, part, source.records)
