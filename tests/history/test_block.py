"""Samples in blocks: exactly what went in comes out, whatever it was, and instruments' numbers take few bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError
from servers.history.block import packed, unpacked
from servers.history.store import GAP

CENTURY_NS = 100 * 366 * 86400 * 10**9
SAMPLES = st.lists(
    st.tuples(
        st.integers(0, CENTURY_NS),
        st.one_of(
            st.floats(), st.integers(-(2**60), 2**60).map(float), st.integers(-9999, 9999).map(lambda n: n / 100)
        ),
        st.sampled_from([0, 1, 2, 3, GAP, GAP | 3]),
    ),
    min_size=1,
    max_size=50,
)


@given(SAMPLES)
def test_every_bit_of_time_value_and_status_comes_back(samples: list[tuple[int, float, int]]) -> None:
    times, values, status = (
        np.array(column, dtype) for column, dtype in zip(zip(*samples, strict=True), ("i8", "f8", "u1"), strict=True)
    )
    found_times, found_values, found_status = unpacked(packed(times, values, status))
    assert found_times.tolist() == times.tolist()
    assert found_status.tolist() == status.tolist()
    is_known = status < GAP
    # By bits: -0.0 is not 0.0, and NaN is NaN.
    assert found_values[is_known].view(np.int64).tolist() == values[is_known].view(np.int64).tolist()
    assert np.isnan(found_values[~is_known]).all()


def test_ten_minutes_of_a_thermometer_take_four_bytes_a_sample() -> None:
    generator = np.random.default_rng(7)
    # 77 K to a millikelvin, read each second within 3 ms, stamped in microseconds.
    values = np.round(77.0 + np.cumsum(generator.normal(0.0, 0.01, 600)), 3)
    times = (1_795_000_000_000_000 + np.arange(600) * 1_000_000 + generator.integers(0, 3000, 600)) * 1000
    data = packed(times.astype(np.int64), values, np.zeros(600, np.uint8))
    assert len(data) < 4 * 600
    assert unpacked(data)[1].tolist() == values.tolist()


def test_what_is_no_block_is_said_to_be_none() -> None:
    data = packed(np.array([5], np.int64), np.array([1.5]), np.zeros(1, np.uint8))
    for wrong in (b"", data[:10], data[:-3], b"\x07" + data[1:]):
        with pytest.raises(BadValueError):
            unpacked(wrong)
