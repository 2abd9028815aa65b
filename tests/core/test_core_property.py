"""Properties: typed configuration, and one error that lists everything that is wrong."""

from __future__ import annotations

import enum
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core import Properties, setting
from devices.core.errors import ConfigurationError
from devices.core.property import TANGO_OWN


class Model(enum.Enum):
    M22C = "22C"
    M24C = "24C"


@dataclass(frozen=True)
class CryoProperties(Properties):
    """One of every type; ``host`` has no default."""

    host: str = setting(doc="Where it is")
    port: int = setting(5000, limits=(1, 65535))
    timeout: float = setting(2.0, doc="s", limits=(0.1, None))
    simulate: bool = setting(False)
    model: Model = setting(Model.M24C)
    parity: Literal["none", "even"] = setting("none")
    folder: Path = setting(Path("/var/tmp"))
    offset: float | None = setting(None, limits=(-10.0, 10.0))
    channels: tuple[str, ...] = setting(("a", "b"))
    weights: tuple[float, ...] = setting((), limits=(0.0, 1.0))
    beam_centre: tuple[float, int] = setting((487.5, 619))


def problems_of(raw: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        CryoProperties.parse(raw, "test/cryo/1")
    assert caught.value.subject == "test/cryo/1"
    assert str(caught.value) == "test/cryo/1: " + "; ".join(caught.value.problems)
    return caught.value.problems


def test_defaults_hold_for_what_is_not_given_and_what_has_none_must_be() -> None:
    properties = CryoProperties.parse({"host": ["10.1.2.3"]})
    assert properties == CryoProperties(host="10.1.2.3")
    assert (properties.port, properties.timeout, properties.executor) == (5000, 2.0, "thread")
    assert problems_of({}) == ("host is missing",)


@pytest.mark.parametrize(
    "name, given_value, value",
    [
        ("port", ["6000"], 6000),
        ("port", " 6000 ", 6000),
        ("port", 6000, 6000),
        ("timeout", ["0.1"], 0.1),
        ("timeout", 3, 3.0),
        ("simulate", ["TRUE"], True),
        ("simulate", "off", False),
        ("simulate", True, True),
        ("simulate", 0, False),
        ("model", ["22C"], Model.M22C),
        ("model", "m22c", Model.M22C),
        ("parity", ["even"], "even"),
        ("folder", ["/data/run 7"], Path("/data/run 7")),
        ("offset", ["-10.0"], -10.0),
        ("offset", "", None),
        ("offset", None, None),
        ("channels", ["a", "b", "c"], ("a", "b", "c")),
        ("channels", "a", ("a",)),
        ("channels", [], ()),
        ("weights", ["0", "0.25", "1"], (0.0, 0.25, 1.0)),
        ("beam_centre", ["501.25", "7"], (501.25, 7)),
        ("host", ["line 1", "line 2"], "line 1\nline 2"),
        ("pv_prefix", ["CRYO1:"], "CRYO1:"),
    ],
)
def test_texts_of_a_database_and_values_of_json_become_their_types(name: str, given_value: Any, value: Any) -> None:
    properties = CryoProperties.parse({"host": "h", name: given_value})
    assert getattr(properties, name) == value and type(getattr(properties, name)) is type(value)


@pytest.mark.parametrize(
    "name, given_value, problem",
    [
        ("port", ["five"], "port = 'five': not a whole number"),
        ("port", ["5.5"], "port = '5.5': not a whole number"),
        ("port", ["0"], "port = '0': outside [1, 65535]"),
        ("port", ["65536"], "port = '65536': outside [1, 65535]"),
        ("port", ["1", "2"], "port = ['1', '2']: one value is expected, not 2"),
        ("port", [], "port = []: one value is expected, not 0"),
        ("port", None, "port = None: no value"),
        ("host", None, "host = None: no value"),
        ("timeout", ["0.05"], "timeout = '0.05': outside [0.1, inf]"),
        ("timeout", ["nan"], "timeout = 'nan': not a finite number"),
        ("timeout", ["1e999"], "timeout = '1e999': not a finite number"),
        ("timeout", ["soon"], "timeout = 'soon': not a number"),
        ("simulate", ["maybe"], "simulate = 'maybe': neither true nor false"),
        ("model", ["26C"], "model = '26C': none of M22C, M24C"),
        ("parity", ["odd"], "parity = 'odd': none of none, even"),
        ("offset", ["-10.5"], "offset = '-10.5': outside [-10.0, 10.0]"),
        ("offset", ["x"], "offset = 'x': not a number"),
        ("weights", ["0.5", "1.5"], "weights = ['0.5', '1.5']: outside [0.0, 1.0]"),
        ("weights", ["0.5", "half"], "weights = ['0.5', 'half']: not a number"),
        ("beam_centre", ["501.25"], "beam_centre = '501.25': 2 values are expected, not 1"),
        ("beam_centre", ["1.0", "2", "3"], "beam_centre = ['1.0', '2', '3']: 2 values are expected, not 3"),
        ("beam_centre", ["1.0", "2.5"], "beam_centre = ['1.0', '2.5']: not a whole number"),
    ],
)
def test_a_wrong_one_is_named_with_its_value_and_what_is_wrong(name: str, given_value: Any, problem: str) -> None:
    assert problems_of({"host": "h", name: given_value}) == (problem,)


def test_all_problems_are_reported_at_once() -> None:
    assert problems_of({"prot": ["1"], "timeout": ["soon"], "Simulate": ["maybe"], "zzz": ["1"]}) == (
        "unknown property prot (did you mean port?)",
        "timeout = 'soon': not a number",
        "simulate = 'maybe': neither true nor false",
        "unknown property zzz",
        "host is missing",
    )


def test_names_are_told_apart_by_their_letters_and_not_by_their_case() -> None:
    assert CryoProperties.parse({"Host": "h", "PORT": "7"}).port == 7
    assert problems_of({"host": "h", "port": "7", "Port": "8"}) == ("port is given twice, also as Port",)


def test_what_tango_keeps_beside_ours_is_not_for_the_device() -> None:
    assert {"polled_attr", "__SubDevices"} < TANGO_OWN
    assert CryoProperties.parse({"host": "h", "polled_attr": ["state", "1000"]}).host == "h"


def test_properties_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        CryoProperties(host="h").port = 7  # type: ignore[misc]


def test_an_error_of_configuration_keeps_its_list_on_its_way_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(ConfigurationError("x", ["a is missing", "b is wrong"])))
    assert error.problems == ("a is missing", "b is wrong") and error.subject == "x"


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "port": st.integers(1, 65535),
    "timeout": st.floats(0.1, 1e6),
    "simulate": st.booleans(),
    "model": st.sampled_from(["22C", "24C"]),
    "weights": st.lists(st.floats(0.0, 1.0), max_size=4),
}
BAD: dict[str, st.SearchStrategy[Any]] = {
    "port": st.one_of(st.integers(max_value=0), st.integers(min_value=65536), st.just("x")),
    "timeout": st.one_of(st.floats(max_value=0.09), st.just(float("nan")), st.just("x")),
    "simulate": st.sampled_from(["2", "", "ja"]),
    "model": st.sampled_from(["", "23C"]),
    "weights": st.lists(st.floats(min_value=1.1), min_size=1, max_size=4),
}


@given(st.data(), st.sets(st.sampled_from(sorted(GOOD))), st.booleans(), st.booleans())
def test_there_is_one_problem_for_each_wrong_property_and_none_for_a_right_one(
    data: st.DataObject, wrong: set[str], as_texts: bool, with_host: bool
) -> None:
    raw: dict[str, Any] = {"host": "h"} if with_host else {}
    for name in GOOD:
        value = data.draw(BAD[name] if name in wrong else GOOD[name], label=name)
        if as_texts:
            value = [str(item) for item in value] if isinstance(value, list) else [str(value)]
        raw[name] = value
    if wrong or not with_host:
        problems = problems_of(raw)
        assert sorted(problem.split()[0] for problem in problems) == sorted([*wrong, *["host"] * (not with_host)])
    else:
        properties = CryoProperties.parse(raw)
        assert properties.port == int(raw["port"][0] if as_texts else raw["port"])
        assert list(properties.weights) == [float(weight) for weight in raw["weights"]]


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.text(), st.lists(st.text()), st.integers())))
def test_whatever_a_file_says_the_answer_is_properties_or_one_error(raw: dict[str, Any]) -> None:
    try:
        assert isinstance(CryoProperties.parse(raw | {"host": "h"}), CryoProperties)
    except ConfigurationError as error:
        assert error.problems
