"""The rows in which DCSS is told what a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from devices.dcss.loop_picture import Examined
from devices.drivers import dcs_text, tcl_list
from devices.pipelines.loop.result import LoopResult

#: Older scripts read so many words of the 16 of a row: more are only ever added at the end, and no others may go.
LEAST_WORDS: Final = 14
#: Digits for ``k`` and ``n`` of a list, which are known only when all is packed.
COUNTER_DIGITS: Final = 3


@dataclass(frozen=True)
class LoopRow:
    """What became of one picture of a collection.

    Attributes:
        index: of the picture, from 0.
        failure: one word that says why there is no result; empty: there is.
    """

    index: int
    examined: Examined | None = None
    failure: str = ""

    @property
    def result(self) -> LoopResult:
        """What was found; of a failed row, nothing."""
        return LoopResult(message=self.failure) if self.examined is None else self.examined.result

    @property
    def is_good(self) -> bool:
        return not self.failure

    @classmethod
    def of(cls, index: int, examined: Examined) -> LoopRow:
        """A row of a picture that was examined; one without a loop has failed."""
        found = examined.result
        return cls(index, examined, "" if found.found else found.message or "no_loop")

    def words(self) -> tuple[object, ...]:
        """As an update has it: ``LOOP_INFO index normal tipX tipY ...``, or ``LOOP_INFO index failed reason``."""
        if not self.is_good:
            return ("LOOP_INFO", self.index, "failed", self.failure[: dcs_text.MAX_WORD])
        return ("LOOP_INFO", self.index, "normal", *result_words(self.result))

    def short(self) -> tuple[object, ...]:
        """The nine words of a list: index, tip, box (x from, to, y from, to), width, kind; or why it failed."""
        if not self.is_good:
            return (self.index, "failed", self.failure[: dcs_text.MAX_WORD])
        found = self.result
        box = (found.box_min_x, found.box_max_x, found.box_min_y, found.box_max_y)
        numbers = (found.tip_x, found.tip_y, *box, found.loop_width)
        return (self.index, *map(fraction, numbers), found.kind)


def fraction(value: float) -> str:
    """A fraction of the picture as scripts read it: five digits."""
    return f"{value:.5f}"


def result_words(found: LoopResult) -> tuple[object, ...]:
    """The thirteen words of ``getLoopInfo``, which are those of a row behind its status."""
    numbers = (found.tip_x, found.tip_y, found.pin_base_x, found.fiber_width, found.loop_width)
    box = (found.box_min_x, found.box_max_x, found.box_min_y, found.box_max_y, found.loop_width_x)
    return (*map(fraction, numbers + box), int(found.is_micromount), found.kind, fraction(found.score))


def packed(rows: Sequence[LoopRow], before: int, *, max_bytes: int = dcs_text.MAX_TEXT_BYTES) -> list[str]:
    """Rows as few texts ``LOOP_INFO_LIST k n {row} {row} ..``, k from 1 to n; no row is split.

    Args:
        before: length of the message up to and with the blank before the text, byte.
        max_bytes: of the whole message with its NUL.
    """
    room = max_bytes - before - len("LOOP_INFO_LIST ") - 2 * (COUNTER_DIGITS + 1) - 1
    lists: list[list[str]] = []
    used = room
    for row in rows:
        text = "{" + " ".join(dcs_text.word(each) for each in row.short()) + "}"
        if used + 1 + len(text) > room:
            lists.append([])
            used = -1
        lists[-1].append(text)
        used += 1 + len(text)
    return [f"LOOP_INFO_LIST {k} {len(lists)} {' '.join(each)}" for k, each in enumerate(lists, 1)]


def fitted(words: Sequence[object], before: int, *, max_bytes: int = dcs_text.MAX_TEXT_BYTES) -> tuple[object, ...]:
    """A row that loses words at its end, those that older scripts do not read, where it is too long."""
    kept = list(words)
    while len(kept) > LEAST_WORDS and before + len(" ".join(tcl_list.quote(str(each)) for each in kept)) >= max_bytes:
        kept.pop()
    return tuple(kept)
