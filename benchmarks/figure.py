"""One line of the benchmark table: ours, the peer's on the same machine in the same run, and what is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    Attributes:
        ours, peer: medians over the rounds, in ``unit``; ``peer`` is None where there is none.
        at_least: the smallest ratio wanted.
        below: ``ours`` is to be less than this, in ``unit``.
        above: ``ours`` is to be at least this, in ``unit``.
        more: the greater the better, also where the unit is no rate and no least is wanted.
        short: what is known to keep it from its target; it is told so, and is nobody's news any more.
    """

    name: str
    ours: float
    unit: str
    peer: float | None = None
    at_least: float | None = None
    below: float | None = None
    above: float | None = None
    more: bool = False
    short: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as good as the peer we are: more (per second, or where a least is wanted), or less time."""
        if self.peer is None or not self.ours or not self.peer:
            return None
        more_is_better = self.more or self.unit.endswith("/s") or self.above is not None
        return self.ours / self.peer if more_is_better else self.peer / self.ours

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f"ratio >= {self.at_least:g}"
        if self.above is not None:
            return f">= {self.above:g} {self.unit}"
        return "" if self.below is None else f"< {self.below:g} {self.unit}"

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None for a figure without one."""
        if self.at_least is not None:
            return self.ratio is not None and self.ratio >= self.at_least
        if self.above is not None:
            return self.ours >= self.above
        return None if self.below is None else self.ours < self.below

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "target": self.target, "reached": self.reached}

    def line(self) -> str:
        """The figure as a line of the table below :data:`HEADER`."""
        return (
            f"{self.name:<58} {_number(self.ours):>9} {_number(self.peer):>9} {self.unit:<7} "
            f"{_number(self.ratio):>6}  {self.target:<12} {self.verdict}"
        ).rstrip()

    def row(self) -> str:
        """The figure as a line of a table in Markdown, below :data:`HEAD_ROW`."""
        cells = (self.name, _number(self.ours), _number(self.peer), self.unit, _number(self.ratio), self.target)
        return "| " + " | ".join((*cells, self.verdict)) + " |"

    @property
    def verdict(self) -> str:
        return {None: "", True: "yes", False: f"short: {self.short}" if self.short else "NO"}[self.reached]


HEAD_ROW = "| | ours | peer | unit | ratio | target | reached |\n|---|---|---|---|---|---|---|"
HEADER = f"{'':<58} {'ours':>9} {'peer':>9} {'unit':<7} {'ratio':>6}  {'target':<12} reached"


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """The figures that miss their targets, and nobody knew."""
    return [figure for figure in figures if figure.reached is False and not figure.short]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
