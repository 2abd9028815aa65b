"""The commands of the small Tcl that know nothing of DCSS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from devices.core.errors import DiptychError
from devices.drivers import tcl_list
from devices.simulators.dcss.tcl_expr import guessed
from devices.simulators.dcss.tcl_parse import Leave, TclError, split

if TYPE_CHECKING:
    from devices.simulators.dcss.tcl import Command, Tcl

log = logging.getLogger("diptych.simulators.dcss.script")


def commands(tcl: Tcl) -> dict[str, Command]:
    """All of them, for one interpreter."""
    waiting: dict[str, Callable[[Tcl, list[str]], object]] = {
        "if": _if, "while": _while, "for": _for, "foreach": _foreach, "catch": _catch, "expr": _expr, "after": _after,
        "eval": _eval,
    }  # fmt: skip
    plain: dict[str, Callable[[Tcl, list[str]], str]] = {
        "set": _set, "incr": _incr, "append": _append, "lappend": _lappend, "proc": _proc, "global": _global,
        "info": _info,
        "list": lambda tcl, words: tcl_list.join(words),
        "llength": lambda tcl, words: str(len(split(words[0]))),
        "lindex": lambda tcl, words: _index(split(words[0]), words[1]),
        "lrange": lambda tcl, words: tcl_list.join(_range(split(words[0]), words[1], words[2])),
        "concat": lambda tcl, words: " ".join(word.strip() for word in words if word.strip()),
        "join": lambda tcl, words: (words[1] if len(words) > 1 else " ").join(split(words[0])),
        "string": _string, "format": _format, "puts": _puts, "error": _error, "break": _leave("break"),
        "continue": _leave("continue"), "return": lambda tcl, words: _return(words),
    }  # fmt: skip
    found: dict[str, Command] = {name: partial(function, tcl) for name, function in waiting.items()}  # type: ignore[misc]
    found.update({name: _at_once(partial(function, tcl)) for name, function in plain.items()})
    return found


def _at_once(function: Callable[[list[str]], str]) -> Command:
    async def command(words: list[str]) -> str:
        return function(words)

    return command


async def _if(tcl: Tcl, words: list[str]) -> str:
    rest = list(words)
    while rest:
        condition = rest.pop(0)
        if rest[:1] == ["then"]:
            rest.pop(0)
        body = rest.pop(0)
        if await _is_true(tcl, condition):
            return await tcl.eval(body)
        if not rest:
            return ""
        if (word := rest.pop(0)) != "elseif":
            return await tcl.eval(rest[0] if word == "else" else word)
    raise TclError("if: no condition")


async def _while(tcl: Tcl, words: list[str]) -> str:
    while await _is_true(tcl, words[0]):
        if not await tcl.loop(words[1]):
            break
    return ""


async def _for(tcl: Tcl, words: list[str]) -> str:
    first, condition, step, body = words
    await tcl.eval(first)
    while await _is_true(tcl, condition):
        if not await tcl.loop(body):
            break
        await tcl.eval(step)
    return ""


async def _foreach(tcl: Tcl, words: list[str]) -> str:
    *lists, body = words
    pairs = [(split(names), iter(split(values))) for names, values in zip(lists[::2], lists[1::2], strict=True)]
    while True:
        found = {name: next(values, None) for names, values in pairs for name in names}
        if all(value is None for value in found.values()):
            return ""
        tcl.names.update({name: value or "" for name, value in found.items()})
        if not await tcl.loop(body):
            return ""


async def _catch(tcl: Tcl, words: list[str]) -> str:
    code, value = "0", ""
    try:
        value = await tcl.eval(words[0])
    except DiptychError as error:
        code, value = "1", str(error)
    except Leave as leave:
        code, value = {"return": "2", "break": "3", "continue": "4"}[leave.how], leave.value
    if len(words) > 1:
        tcl.names[words[1]] = value
    return code


async def _expr(tcl: Tcl, words: list[str]) -> str:
    return await tcl.expr(" ".join(words))


async def _eval(tcl: Tcl, words: list[str]) -> str:
    return await tcl.eval(" ".join(words))


async def _after(tcl: Tcl, words: list[str]) -> str:
    await asyncio.sleep(int(words[0]) / 1000.0)
    return ""


async def _is_true(tcl: Tcl, condition: str) -> bool:
    return await tcl.expr(condition) not in ("0", "0.0", "false", "no", "off", "")


def _set(tcl: Tcl, words: list[str]) -> str:
    if len(words) > 1:
        tcl.names[words[0]] = words[1]
    return tcl.value(words[0])


def _incr(tcl: Tcl, words: list[str]) -> str:
    step = int(words[1]) if len(words) > 1 else 1
    tcl.names[words[0]] = found = str(int(tcl.names.get(words[0], "0")) + step)
    return found


def _append(tcl: Tcl, words: list[str]) -> str:
    tcl.names[words[0]] = found = tcl.names.get(words[0], "") + "".join(words[1:])
    return found


def _lappend(tcl: Tcl, words: list[str]) -> str:
    tcl.names[words[0]] = found = " ".join(filter(None, [tcl.names.get(words[0], ""), tcl_list.join(words[1:])]))
    return found


def _proc(tcl: Tcl, words: list[str]) -> str:
    name, names, body = words

    async def command(values: list[str]) -> str:
        return await tcl.call(split(names), body, values)

    tcl.commands[name] = command
    return ""


def _global(tcl: Tcl, words: list[str]) -> str:
    return ""  # they can be read as it is


def _info(tcl: Tcl, words: list[str]) -> str:
    if words[0] != "exists":
        raise TclError(f"info {words[0]} is not known here")
    return str(int(words[1] in tcl.names or words[1] in tcl.variables))


def _index(values: list[str], word: str) -> str:
    place = _place(values, word)
    return values[place] if 0 <= place < len(values) else ""


def _range(values: list[str], first: str, last: str) -> list[str]:
    return values[max(0, _place(values, first)) : max(0, _place(values, last) + 1)]


def _place(values: list[str], word: str) -> int:
    base, _, count = word.partition("-")
    return len(values) - 1 - int(count or "0") if base == "end" else int(word)


def _string(tcl: Tcl, words: list[str]) -> str:
    match words:
        case ["length", text]:
            return str(len(text))
        case ["equal", one, other]:
            return str(int(one == other))
        case ["first", part, text]:
            return str(text.find(part))
        case ["tolower", text]:
            return text.lower()
    raise TclError(f"string {' '.join(words)[:40]} is not known here")


def _format(tcl: Tcl, words: list[str]) -> str:
    try:
        return words[0] % tuple(guessed(word) for word in words[1:])
    except TypeError as error:
        raise TclError(f"format: {error}") from None


def _puts(tcl: Tcl, words: list[str]) -> str:
    log.info("%s", words[-1])
    return ""


def _error(tcl: Tcl, words: list[str]) -> str:
    raise TclError(words[0])


def _leave(how: str) -> Callable[[Tcl, list[str]], str]:
    def command(tcl: Tcl, words: list[str]) -> str:
        raise Leave(how)

    return command


def _return(words: list[str]) -> str:
    if words[:2] == ["-code", "error"]:
        raise TclError(words[-1])
    raise Leave("return", words[-1] if words else "")
