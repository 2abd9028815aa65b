"""Readings and their qualities."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from devices.core import Quality, Reading
from devices.core.reading import worst

FROM_GOOD_TO_BAD = [Quality.VALID, Quality.CHANGING, Quality.WARNING, Quality.ALARM, Quality.INVALID]


@pytest.mark.parametrize("first, second", list(itertools.product(FROM_GOOD_TO_BAD, repeat=2)))
def test_of_two_qualities_the_worse_one_counts(first: Quality, second: Quality) -> None:
    expected = max(first, second, key=FROM_GOOD_TO_BAD.index)
    assert worst(first, second) is expected


def test_a_reading_cannot_be_changed_by_who_got_it() -> None:
    reading = Reading(77.3, 1_700_000_000.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        reading.value = 4.2  # type: ignore[misc]
    assert (reading.quality, reading.reason) == (Quality.VALID, "")
