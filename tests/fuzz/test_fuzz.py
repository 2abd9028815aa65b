"""Whatever comes from outside is understood or refused by its parser's own error, soon and in little memory.

A few examples of each parser, always the same ones; ``make fuzz`` feeds thousands of others.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import services
from tests.fuzz.all_targets import TARGETS
from tests.fuzz.target import Target, feed

EXAMPLES = 20
FROM_SOCKETS = 12  # of a parser that is part of a connection


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    yield
    services.close()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name.replace(" ", "-"))
def test_a_parser_refuses_only_by_its_own_errors(target: Target) -> None:
    is_slow = target.module in ("epics.circuit", "axis.receiver", "web.login.users")
    count = feed(target, FROM_SOCKETS if is_slow else EXAMPLES, always_the_same=True)
    assert count.examples
