"""What the soak would notice: each wrong value, once, and none that is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.soak import values
from tests.soak.samples import growths
from tests.soak.witness import Witness


def witness_of(number: int) -> tuple[Witness, list[str]]:
    faults: list[str] = []
    return Witness(f"RACK0:Level{number}", 0, number, faults.append), faults


@pytest.mark.parametrize("make", [values.value, values.text, values.spectrum, values.image])
def test_a_value_tells_its_sequence_and_its_pv(make: Callable[[int, int], Any]) -> None:
    now = values.sequence_now()
    assert values.read(make(now, 511)) == (now, 511)
    assert values.read(make(now + 1, 0)) == (now + 1, 0)


def test_right_values_in_order_and_again_are_no_faults() -> None:
    witness, faults = witness_of(7)
    for sequence in (100, 101, 101, 250):
        witness.take(values.value(sequence, 7), 0, is_link=False)
    assert not faults
    assert witness.shows(250)
    assert not witness.shows(251)


def test_a_value_of_another_pv_an_old_one_and_a_torn_array_are_faults() -> None:
    witness, faults = witness_of(7)
    witness.take(values.value(100, 7), 0, is_link=False)
    witness.take(values.value(101, 8), 0, is_link=False)
    witness.take(values.value(99, 7), 0, is_link=False)
    torn = values.spectrum(120, 7)
    torn[-1] = values.value(119, 7)
    witness.take(torn, 0, is_link=False)
    witness.take(np.array([]), 0, is_link=False)
    witness.take(102.0001, 0, is_link=False)
    assert len(faults) == 5, faults
    assert witness.sequence == 100


def test_a_dead_server_is_seen_and_a_last_value_that_is_invalid_is_not_enough() -> None:
    witness, _ = witness_of(7)
    witness.take(values.value(100, 7), 3, is_link=True)
    assert witness.link_at > 0.0
    assert not witness.shows(100)
    witness.take(None, 0, is_link=False)  # PVAccess may send the alarm alone
    assert witness.shows(100)


def test_growth_is_told_beyond_five_per_cent() -> None:
    rss = {"warm": 100.0, "end": 105.0, "most": 120.0}
    files = {"warm": 90.0, "end": 98.0, "most": 140.0}
    assert growths({"rss_mb": rss, "files": files}) == []
    assert growths({"rss_mb": {**rss, "end": 108.0}, "files": {**files, "end": 99.0}}) == [
        "rss_mb: 100.0 after the warm-up, 108.0 at the end",
        "files: 90.0 after the warm-up, 99.0 at the end",
    ]
