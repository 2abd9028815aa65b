"""One parser, what it is fed, and what it may answer: a value, or an error of its own; soon, and in little memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from tests.support.peak import Peak

SLOWEST_S = 10.0  # of a processor that others use, too
MOST_MEMORY_MB = 400.0


@dataclass(frozen=True)
class Target:
    """A parser of what comes from outside.

    Attributes:
        name: protocol or format. module: whose code reads it.
        data: what it is fed.
        parse: feeds it.
        refuses: the errors that it may raise.
    """

    name: str
    module: str
    data: SearchStrategy[Any]
    parse: Callable[[Any], object]
    refuses: tuple[type[BaseException], ...] = ()


@dataclass
class Count:
    """What became of the examples; seconds of processor time, MB of growth."""

    examples: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    seconds: float = 0.0
    memory_mb: float = 0.0


def feed(target: Target, examples: int, *, always_the_same: bool = False) -> Count:
    """Feed a parser with so many examples; whatever it raises beside its own errors is raised, with the example."""
    count = Count()
    peak = Peak()
    began = time.process_time()

    def check(data: Any) -> None:
        count.examples += 1
        start = time.process_time()
        try:
            target.parse(data)
        except target.refuses:
            count.refused += 1
        spent = time.process_time() - start
        count.slowest_s = max(count.slowest_s, spent)
        assert spent < SLOWEST_S, f"{target.name}: {spent:.1f} s"

    rules = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=always_the_same,
        suppress_health_check=list(HealthCheck),
    )
    rules(given(target.data)(check))()
    count.seconds = time.process_time() - began
    count.memory_mb = peak.grown / 1e6
    assert count.memory_mb < MOST_MEMORY_MB, f"{target.name}: {count.memory_mb:.0f} MB"
    return count
