"""A small Tcl, enough for scripted operations: substitution, lists, control flow, procedures; commands may wait.

Source:
    The Tcl manual, n: Tcl, expr.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from devices.drivers import tcl_list
from devices.simulators.dcss.tcl_commands import commands
from devices.simulators.dcss.tcl_expr import Expression
from devices.simulators.dcss.tcl_parse import Leave, TclError, bracket_end, name_end, parse, split

Command = Callable[[list[str]], Awaitable[str]]
#: Deeper than this a procedure calls itself without end.
DEEPEST: Final = 100


class Tcl:
    """An interpreter.

    Attributes:
        commands: by name; more may be added. variables: the global ones.
    """

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.commands: dict[str, Command] = commands(self)
        self._frames: list[dict[str, str]] = [self.variables]

    @property
    def names(self) -> dict[str, str]:
        """The variables of the procedure that runs."""
        return self._frames[-1]

    def value(self, name: str) -> str:
        """Of a variable; a procedure sees the global ones, too.

        Raises:
            TclError: there is none.
        """
        for names in (self.names, self.variables):
            if name in names:
                return names[name]
        raise TclError(f'can\'t read "{name}": no such variable')

    async def eval(self, script: str) -> str:
        """Run a script; the result of its last command.

        Raises:
            TclError: it failed. Leave: a ``return`` outside of a procedure.
        """
        result = ""
        for words in parse(script):
            parts = [word.text if word.is_literal else await self.substitute(word.text) for word in words]
            command = self.commands.get(parts[0])
            if command is None:
                raise TclError(f'invalid command name "{parts[0]}"')
            try:
                result = await command(parts[1:])
            except (IndexError, ValueError) as error:
                raise TclError(f"{parts[0]}: {error}") from error
        return result

    async def run(self, script: str) -> str:
        """Run a whole script; a ``return`` gives its value."""
        try:
            return await self.eval(script)
        except Leave as leave:
            return leave.value

    async def call(self, names: list[str], body: str, values: list[str]) -> str:
        """Run a procedure with its own variables."""
        if len(self._frames) > DEEPEST:
            raise TclError("too many nested evaluations (infinite loop?)")
        words = [split(name) for name in names]  # {name default} has two
        values = [*values, *(word[1] for word in words[len(values) :] if len(word) == 2)]
        given = {word[0]: value for word, value in zip(words, values, strict=False)}
        if names[-1:] == ["args"]:
            given["args"] = tcl_list.join(values[len(names) - 1 :])
        elif len(values) != len(names):
            raise TclError(f"wrong # args: {len(values)} instead of {len(names)}")
        self._frames.append(given)
        try:
            return await self.run(body)
        finally:
            self._frames.pop()

    async def loop(self, body: str) -> bool:
        """Run the body of a loop once; False: ``break``."""
        await asyncio.sleep(0)  # a loop without end ends nobody else
        try:
            await self.eval(body)
        except Leave as leave:
            if leave.how == "return":
                raise
            return leave.how == "continue"
        return True

    async def expr(self, text: str) -> str:
        """The value of an expression."""
        return await Expression(text, self.substitute).value()

    async def substitute(self, text: str) -> str:
        """A word with its variables, commands and backslashes replaced."""
        if not any(character in text for character in "$[\\"):
            return text
        found: list[str] = []
        position = 0
        while position < len(text):
            character = text[position]
            if character == "\\":
                one, position = tcl_list.unescape(text, position)
                found.append(one)
            elif character == "[":
                end = bracket_end(text, position)
                found.append(await self.eval(text[position + 1 : end]))
                position = end + 1
            elif character == "$" and (end := name_end(text, position)) > position + 1:
                name = text[position + 1 : end]
                braced = name.startswith("{")
                found.append(self.value(name[1:-1] if braced else await self.substitute(name)))
                position = end
            else:
                found.append(character)
                position += 1
        return "".join(found)
