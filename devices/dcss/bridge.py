"""One hardware server of DCSS: who answers which of its messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from devices.core.errors import BadValueError
from devices.core.neighbours import Neighbours
from devices.dcss.bridge_member import Member, Surroundings
from devices.dcss.handler import DhsHandler, Message, Sender
from devices.dcss.ion_chamber import IonChamber, IonChambers
from devices.dcss.operation import DhsOperations

REGISTRATION: Final = "stoh_register_"
#: What the log of DCSS calls us.
SENDER: Final = "diptych"


class Bridge(DhsHandler):
    """Hands messages of DCSS to members and operations, and knows what is mapped and what DCSS has registered.

    Attributes:
        operations: add to them before the login.
        unmapped: what DCSS registers and nobody here is, ``kind name``.
        changed: called whenever something that it shows changes.
    """

    def __init__(self, neighbours: Neighbours, log: logging.Logger) -> None:
        self.around = Surroundings(neighbours, log)
        self.operations = DhsOperations(log)
        self.members: dict[str, Member] = {}
        self.unmapped: list[str] = []
        self.changed: Callable[[], None] = lambda: None
        self._registered: set[str] = set()
        self._ion_chambers = IonChambers(self.around)
        self._log = log
        self._is_begun = False
        #: What stands behind the names is simulated: DCSS is told with each registration.
        self.is_simulated = False

    @property
    def unregistered(self) -> list[str]:
        """What is mapped and DCSS has not registered since the login."""
        names = {name: member.kind for name, member in self.members.items()}
        names.update(dict.fromkeys(self.operations.names, "operation"))
        return [f"{kind} {name}" for name, kind in names.items() if name not in self._registered]

    def add(self, members: Iterable[Member]) -> None:
        """Serve these, too.

        Raises:
            BadValueError: a name is there twice.
        """
        for member in members:
            if member.name in self.members:
                raise BadValueError(
                    f"{member.kind} {member.name}: there is a {self.members[member.name].kind} of this name"
                )
            self.members[member.name] = member
            if isinstance(member, IonChamber):
                self._ion_chambers.add(member)
            if self._is_begun:
                member.begin()

    def begin(self) -> None:
        """Watch the neighbours of all members; in the device's loop."""
        self._is_begun = True
        for member in self.members.values():
            member.begin()

    async def close(self) -> None:
        """End everything."""
        self._ion_chambers.abort()
        await self.operations.close()
        for member in self.members.values():
            await member.close()

    def logged_in(self, sender: Sender) -> None:
        self.around.sender = sender
        self._registered.clear()
        self.unmapped.clear()
        self.changed()

    def lost(self, reason: str) -> None:
        self.operations.lost()
        self._ion_chambers.abort()
        for member in self.members.values():
            member.lost()
        self._registered.clear()
        self.changed()

    def take(self, message: Message) -> None:
        try:
            self._take(message)
        except (BadValueError, ValueError) as error:
            self._log.error("DCSS said what makes no sense: %s", error)
            self.around.send("htos_log", "error", SENDER, rest=f"{message.command}: {error}"[:300])

    def _take(self, message: Message) -> None:
        command, words = message.command, message.words
        if command.startswith(REGISTRATION) and words:
            self._register(command.removeprefix(REGISTRATION), message)
        elif command == "stoh_start_operation":
            assert self.around.sender is not None
            self.operations.start(message, self.around.sender)
            self.changed()
        elif command == "stoh_stop_operation" and words:
            self.operations.stop(words[0])
        elif command == "stoh_abort_all":
            self.operations.abort()
            self._ion_chambers.abort()
            for each in self.members.values():
                each.abort()
        elif command == "stoh_read_ion_chambers" and len(words) >= 3:
            self._ion_chambers.read(words)
        elif words and (member := self.members.get(words[0])) is not None:
            member.take(message)
            self.changed()
        elif words and command.startswith("stoh_"):
            self._answer_unmapped(message)
        else:
            raise BadValueError(f"{command} {message.text:.80}")

    def _register(self, kind: str, message: Message) -> None:
        name = message.words[0]
        self._registered.add(name)
        if kind == "operation":
            known = name in self.operations.names
        elif (found := self.members.get(name)) is not None:
            known = found.kind == kind
            if known:
                found.registered(message)
        else:
            known = False
        if known and self.is_simulated and kind != "operation":
            self.around.send("htos_simulating_device", name)
        if not known:
            self.unmapped.append(f"{kind} {name}")
            self.around.send("htos_log", "warning", SENDER, rest=f"{kind} {name} is not mapped")
            self._log.warning("DCSS registers the %s %s, which is not mapped here", kind, name)
        self.changed()

    def _answer_unmapped(self, message: Message) -> None:
        """Nobody does it: say so at once where DCSS waits for an answer."""
        send, name = self.around.send, message.words[0]
        self._log.warning("%s %.80s: %s is not mapped here", message.command, message.text, name)
        match message.command:
            case "stoh_start_motor_move" | "stoh_start_oscillation" | "stoh_start_vector_move":
                send("htos_motor_move_completed", name, 0.0, "not_implemented")
            case "stoh_set_shutter_state":
                send("htos_report_shutter_state", name, "closed", "not_implemented")
            case "stoh_set_string":
                send("htos_set_string_completed", name, "not_implemented")
            case "stoh_get_encoder":
                send("htos_get_encoder_completed", name, 0.0, "not_implemented")
            case "stoh_set_encoder":
                send("htos_set_encoder_completed", name, 0.0, "not_implemented")

    def rows(self) -> list[dict[str, Any]]:
        """What is known of each member, for a table."""
        return [
            {"name": name, "kind": member.kind, "registered": member.is_registered, **member.row()}
            for name, member in self.members.items()
        ]
