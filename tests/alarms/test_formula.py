"""Formulas of rules: what they mean, and that no text does anything but mean something or be refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError
from servers.alarms.formula import MAX_DEPTH, MAX_LENGTH, Seen, UnknownInputError, parse

INPUTS = {
    "CRYO1:TemperatureA": Seen(93.5, severity=1),
    "CRYO1:ControlOn": Seen(1.0, "On"),
    "CRYO1:Serial": Seen("204683"),
    "CRYO1:TemperatureB": Seen(float("nan"), severity=3),
    "CRYO1:Loop:1:Power": Seen(50.0, is_connected=False),
    "cryo/cryocon/1/temperature_a": Seen(93.5),
    "2BM-A:Shutter": Seen(0.0, "Closed"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CRYO1:TemperatureA > 90", True),
        ("CRYO1:TemperatureA > 90 and CRYO1:ControlOn == 'Off'", False),
        ('CRYO1:TemperatureA < 90 or CRYO1:ControlOn == "On"', True),
        ("CRYO1:ControlOn == 1", True),
        ("CRYO1:ControlOn", True),
        ("not CRYO1:ControlOn", False),
        ("not not CRYO1:ControlOn == 'On'", True),
        ("CRYO1:TemperatureA - 3.5 - 1.5 * 2 == 87", True),
        ("CRYO1:TemperatureA / 2 / 11 == 4.25", True),
        ("-CRYO1:TemperatureA == -93.5", True),
        ("abs(90 - CRYO1:TemperatureA) == 3.5", True),
        ("max(CRYO1:TemperatureA, 2, 1e2) == 100 and min(CRYO1:TemperatureA, 2) == 2.", True),
        ("severity(CRYO1:TemperatureB) == 3", True),
        ("connected(CRYO1:Loop:1:Power)", False),
        ("connected(CRYO1:NeverSeen)", False),
        ("connected(CRYO1:Loop:1:Power) and CRYO1:Loop:1:Power > 3", False),
        ("`cryo/cryocon/1/temperature_a` >= 93.5", True),
        ("`2BM-A:Shutter` == 'Closed'", True),
        ("CRYO1:Serial == '204683'", True),
        ("(CRYO1:ControlOn or CRYO1:NeverSeen > 2) and true", True),
        ("1 < 2 == (CRYO1:ControlOn == 'On')", None),
    ],
)
def test_a_formula_means_what_it_says(text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(BadValueError, match="'and' between two comparisons"):
            parse(text)
    else:
        assert parse(text).is_true(INPUTS) is expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("CRYO1:TemperatureB > 90", "CRYO1:TemperatureB has no value"),
        ("CRYO1:NeverSeen > 90", "CRYO1:NeverSeen has not been seen yet"),
        ("CRYO1:Loop:1:Power > 90", "CRYO1:Loop:1:Power is not connected"),
        ("CRYO1:Serial > 90", "'204683' is a text where a number is wanted"),
        ("CRYO1:Serial > 'a'", "texts can only be equal or not"),
        ("CRYO1:Serial", "neither true nor false"),
        ("1 / (CRYO1:TemperatureA - 93.5) > 1", "1 is divided by 0"),
        ("1e300 * 1e300 - 1e300 * 1e300 * CRYO1:ControlOn > 1", "gives no number"),
    ],
)
def test_what_cannot_be_judged_now_says_why(text: str, complaint: str) -> None:
    with pytest.raises(UnknownInputError, match=re.escape(complaint)):
        parse(text).is_true(INPUTS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it ends at character 1"),
        ("CRYO1:TemperatureA >", "it ends at character 21, where a number, a PV or '(' is wanted"),
        ("CRYO1:TemperatureA > > 3", "'>' stands at character 22"),
        ("CRYO1:TemperatureA = 3", "'=' at character 20 has no meaning here"),
        ("temperature > 3", "'temperature' stands at character 1, where a PV, which has a colon is wanted"),
        ("12abc:x > 3", "'1' at character 1 has no meaning"),
        ("(CRYO1:TemperatureA > 3", "it ends at character 24, where ')' is wanted"),
        ("CRYO1:TemperatureA > 3)", "')' stands at character 23, where the end is wanted"),
        ("sqrt(CRYO1:TemperatureA)", "'sqrt' stands at character 1, where one of abs"),
        ("1 > severity(3)", "'3' stands at character 14, where the name of a PV is wanted"),
        ("abs(CRYO1:TemperatureA, 3)", "abs at character 1 has one value"),
        ("3 + max(CRYO1:TemperatureA)", "max at character 5 has several values"),
        ("1 < 2", "no PV stands in it from character 1 on"),
        ("__import__('os').system('true')", "'_' at character 1"),
        ("CRYO1:A.__class__('x')", "'CRYO1:A.__class__' stands at character 1, where one of abs"),
        ("(" * (MAX_DEPTH + 1) + "CRYO1:A", f"more than {MAX_DEPTH} deep at character {MAX_DEPTH + 1}"),
        ("abs(" * (MAX_DEPTH + 1) + "CRYO1:A", f"more than {MAX_DEPTH} deep at character {4 * MAX_DEPTH + 1}"),
        ("CRYO1:A" + " " * MAX_LENGTH, f"at most {MAX_LENGTH} characters, not {MAX_LENGTH + 7}"),
    ],
)
def test_a_text_that_is_no_formula_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(BadValueError, match=re.escape(complaint)):
        parse(text)


@pytest.mark.parametrize("text", ["1+" * 990 + "A:B", "A:B " + "or 1 " * 390, "-" * 1990 + "A:B", "not " * 490 + "A:B"])
def test_a_formula_as_long_as_may_be_is_judged(text: str) -> None:
    assert parse(text).is_true({"A:B": Seen(3.0)})


def test_the_deepest_formula_is_judged() -> None:
    text = "(1 + abs(" * (MAX_DEPTH // 2) + "A:B" + "))" * (MAX_DEPTH // 2)
    assert parse(text).is_true({"A:B": Seen(3.0)})


WORDS = ["CRYO1:TemperatureA", "CRYO1:ControlOn", "CRYO1:Serial", "CRYO1:TemperatureB", "CRYO1:Loop:1:Power", "A:B"]
WORDS += ["`cryo/cryocon/1/temperature_a`", "and", "or", "not", "true", "abs", "min", "max", "severity", "connected"]
WORDS += [*"+-*/<>(),", "==", "!=", "<=", ">=", "1", "0", "2.5e3", "1e999", "'On'", '"x"', "lambda", "[", "__", "\n"]


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
def test_any_text_is_a_formula_or_is_refused_with_a_place_and_a_formula_is_judged_or_lacks_an_input(text: str) -> None:
    try:
        formula = parse(text)
    except BadValueError as error:
        assert not isinstance(error, UnknownInputError)
        place = re.search(r"at character (\d+)|from character 1 on", str(error).replace(repr(text), "", 1))
        assert place is not None, error
        assert place[1] is None or 1 <= int(place[1]) <= len(text) + 1
        return
    assert formula.names
    try:
        assert formula.is_true(INPUTS) in (True, False)
    except UnknownInputError as error:
        assert str(error)


OPERANDS = st.sampled_from(["CRYO1:TemperatureA", "CRYO1:ControlOn", "3", "0.25", "-2"])


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        OPERANDS,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda each: f"({' '.join(each)})"),
            st.tuples(inner, inner).map(lambda each: f"max({each[0]}, {each[1]})"),
            inner.map(lambda each: f"abs({each})"),
        ),
        max_leaves=12,
    )
)
def test_arithmetic_gives_what_python_gives(text: str) -> None:
    numbers = text.replace("CRYO1:TemperatureA", "93.5").replace("CRYO1:ControlOn", "1")
    expected = float(eval(numbers, {"__builtins__": {}, "abs": abs, "max": max}))
    assert parse(f"{text} == CRYO1:ControlOn * {expected!r}").is_true(INPUTS)
