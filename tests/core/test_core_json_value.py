from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core import DeviceState
from devices.core.errors import BadValueError
from devices.core.json_value import json_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"q": np.float32(0.25), "n": np.uint64(2**64 - 1)}, '{"q": 0.25, "n": 18446744073709551615}'),
        ({"peaks": np.array([[1, 2, 3], [4, 5, 6]])}, '{"peaks": [[1, 2, 3], [4, 5, 6]]}'),
        ([float("nan"), float("inf"), np.float64("-inf"), 1.5], "[null, null, null, 1.5]"),
        (np.array([0.5, np.nan]), "[0.5, null]"),
        ({"state": DeviceState.FAULT, DeviceState.ON: True}, '{"state": "FAULT", "ON": true}'),
        ({"file": Path("/data/AgBe 1.tif"), 3: ("a", None)}, '{"file": "/data/AgBe 1.tif", "3": ["a", null]}'),
        ("Grüße", '"Gr\\u00fc\\u00dfe"'),
    ],
)
def test_what_a_calculation_gives_becomes_json(value: Any, text: str) -> None:
    assert json.dumps(json_value(value, "the result"), allow_nan=False) == text


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"fit": [1, 2j]}, r"the result\.fit\[1\] = 2j"),
        ({(1, 2): 3}, r"the result has the key \(1, 2\)"),
        (b"x", "b'x'"),
    ],
)
def test_what_json_does_not_know_is_refused_with_its_place(value: Any, where: str) -> None:
    with pytest.raises(BadValueError, match=where):
        json_value(value, "the result")
