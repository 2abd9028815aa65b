"""How a Cryo-con takes a line apart: keywords long or short in any case, ``;`` and ``;:``, blocks of several lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Instrument(Protocol):
    """What the syntax needs of an instrument."""

    error_seen: bool


I = TypeVar("I", bound=Instrument)  # noqa: E741

LINE_LIMIT = 255
BLOCK_LINES = 300

_HEADER = r"(?P<keys>[*A-Za-z]+(?:\s*:\s*[A-Za-z]+)*)\s*(?P<ask>\?)?\s*(?P<parameter>.*)"
_PLAIN = re.compile(_HEADER)
_INDEXED = re.compile(rf"(?P<root>[A-Za-z]+)\s+(?P<index>[A-Za-z0-9]+)\s*:\s*{_HEADER}")


class Nack(Exception):
    """The instrument does not take this."""


@dataclass(frozen=True)
class Entry(Generic[I]):
    """What one node of the command tree does; ``index`` is what stood behind the root keyword, or empty.

    Attributes:
        get: (instrument, index) to the answer of the query.
        put: (instrument, index, parameter), the effect of the command.
        block: (instrument, index or parameter, lines), the effect of a command that goes on in further lines.
    """

    get: Callable[[I, str], str] | None = None
    put: Callable[[I, str, str], None] | None = None
    block: Callable[[I, str, list[str]], None] | None = None


@dataclass
class Tree(Generic[I]):
    """The command tree: entries by their keywords, spelled with capitals for what may not be left out."""

    entries: dict[tuple[str, ...], Entry[I]] = field(default_factory=dict)

    def find(self, words: tuple[str, ...]) -> Entry[I] | None:
        """The entry that these words name."""
        for keywords, entry in self.entries.items():
            if len(keywords) == len(words) and all(map(_matches, keywords, words)):
                return entry
        return None


def _matches(keyword: str, word: str) -> bool:
    shortest = sum(1 for letter in keyword if not letter.islower())
    return len(word) >= shortest and keyword.upper().startswith(word.upper())


def pieces(line: str) -> Iterator[str]:
    """The commands of a line; a semicolon within quotes is text."""
    for piece in re.findall(r'(?:^|;)((?:"[^"]*"?|[^;"])*)', line):
        if piece.strip():
            yield piece.strip()


class Session(Generic[I]):
    """One client's conversation: the instrument, and the block that the client is in the middle of sending."""

    def __init__(self, instrument: I, tree: Tree[I]) -> None:
        self._instrument = instrument
        self._tree = tree
        self._block: Callable[[list[str]], None] | None = None
        self._lines: list[str] = []

    def line(self, text: str) -> str | None:
        """Carry one line out; its reply without the line end, None when there is none."""
        text = text.strip("\r\n")
        if self._block is not None:
            return self._next_of_block(text.strip())
        if len(text) > LINE_LIMIT or not text.isascii():
            return "NACK"
        answers = []
        path: tuple[str, ...] = ()
        index = ""
        for piece in pieces(text):
            try:
                path, index, result = self._piece(piece, path, index)
            except Nack:
                result = "NACK"
                self._instrument.error_seen = True
            if result is not None:
                answers.append(result)
        return ";".join(answers) if answers else None

    def _piece(self, piece: str, path: tuple[str, ...], index: str) -> tuple[tuple[str, ...], str, str | None]:
        rooted = piece.startswith(":") or not path
        body = piece.lstrip(": ")
        match = _INDEXED.fullmatch(body) if rooted else None
        if match is not None:
            words: tuple[str, ...] = (match["root"],)
            index = match["index"]
        elif (match := _PLAIN.fullmatch(body)) is not None:
            words = ()
            index = "" if rooted else index
        else:
            raise Nack
        words += tuple(re.split(r"\s*:\s*", match["keys"]))
        asked, parameter = match["ask"] is not None, match["parameter"].strip()
        if words[0].startswith("*"):
            entry = self._tree.find(words)
            return path, index, self._do(entry, "", asked, parameter)
        # A semicolon goes on in the same subsystem, at the level of the last keyword or at any above it.
        for level in range(len(path) if not rooted else 0, -1 if rooted else 0, -1):
            whole = path[:level] + words
            if (entry := self._tree.find(whole)) is not None:
                return whole[:-1] or whole, index, self._do(entry, index, asked, parameter)
        raise Nack

    def _do(self, entry: Entry[I] | None, index: str, asked: bool, parameter: str) -> str | None:
        if entry is None:
            raise Nack
        if asked and entry.get is not None:
            return entry.get(self._instrument, index or parameter)
        if not asked and entry.block is not None:
            block = entry.block
            self._block = lambda lines: block(self._instrument, index or parameter, lines)
            return None
        if not asked and entry.put is not None:
            entry.put(self._instrument, index, parameter)
            return None
        raise Nack

    def _next_of_block(self, text: str) -> str | None:
        assert self._block is not None
        if text != ";" and len(self._lines) < BLOCK_LINES:
            self._lines.append(text)
            return None
        block, lines = self._block, self._lines
        self._block, self._lines = None, []
        try:
            block(lines)
        except Nack:
            return "NACK"
        return None


def tree_of(entries: Mapping[str, Entry[I]]) -> Tree[I]:
    """A tree from keyword paths such as ``INPut:ALARm:HIGHest``."""
    return Tree({tuple(path.split(":")): entry for path, entry in entries.items()})
