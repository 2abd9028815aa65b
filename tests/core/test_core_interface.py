"""The description of a device: JSON that another program reads back, and garbage that it does not."""

from __future__ import annotations

import copy
import enum
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices.core import ArgumentSpec, AttributeSpec, CommandSpec, DataType, Deadband, DeviceState, Interface, Kind
from devices.core.errors import ProtocolError
from tests.support.everything import Everything

names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
texts = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
ranges = st.none() | st.tuples(st.none() | numbers, st.none() | numbers)
levels = st.sampled_from(["operator", "expert"])
labels = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20, unique_by=str.casefold)
shapes = st.one_of(st.just(()), st.tuples(st.integers(1, 9)), st.tuples(st.integers(1, 9), st.integers(1, 9)))


@st.composite
def datatypes(draw: st.DrawFn) -> DataType:
    kind = draw(st.sampled_from(Kind))
    shape = draw(shapes)
    if kind is Kind.ENUM:
        members = draw(labels)
        return DataType.of(enum.Enum("Drawn", {f"N{i}": text for i, text in enumerate(members)}), shape)
    if kind is Kind.STATE:
        return DataType.of(DeviceState, shape)
    if kind is Kind.STRING:
        choices = tuple(draw(labels)) if draw(st.booleans()) else ()
        return DataType(kind, shape, None, choices, draw(st.integers(1, 10_000)))
    return DataType(kind, shape)


dead_bands = st.builds(Deadband, st.none() | numbers, st.none() | numbers, st.none() | numbers)
attributes = st.builds(
    AttributeSpec,
    name=names,
    datatype=datatypes(),
    access=st.sampled_from(["read", "read_write", "write"]),
    unit=texts,
    label=texts,
    doc=texts,
    limits=ranges,
    warning=ranges,
    alarm=ranges,
    hysteresis=numbers,
    precision=st.none() | st.integers(0, 12),
    level=levels,
    memorized=st.sampled_from([None, "show", "apply"]),
    setpoint_follows=st.booleans(),
    change=dead_bands,
    archive=dead_bands,
    pv_name=st.none() | names,
    mirror=st.booleans(),
)


@st.composite
def arguments(draw: st.DrawFn) -> ArgumentSpec:
    datatype = draw(datatypes())
    default, required = None, True
    if not datatype.shape and draw(st.booleans()):
        by_kind: dict[Kind, st.SearchStrategy[Any]] = {
            Kind.BOOL: st.booleans(),
            Kind.FLOAT64: numbers,
            Kind.INT64: st.integers(-(2**63), 2**63 - 1),
            Kind.UINT64: st.integers(0, 2**64 - 1),
            Kind.ENUM: st.sampled_from(list(datatype.enum_class or [None])),
        }
        if datatype.kind in by_kind:
            default, required = draw(by_kind[datatype.kind]), False
    return ArgumentSpec(draw(names), datatype, draw(texts), draw(ranges), draw(texts), required, default)


commands = st.builds(
    CommandSpec,
    name=names,
    kind=st.sampled_from(["command", "operation"]),
    arguments=st.lists(arguments(), max_size=3).map(tuple),
    result=st.none() | datatypes(),
    json_result=st.just(False),
    allowed=st.none() | st.frozensets(st.sampled_from(DeviceState)),
    level=levels,
    dangerous=st.booleans(),
    timeout=st.floats(0.1, 2.5),
    when_busy=st.sampled_from(["refuse", "queue", "parallel"]),
    mirror=st.booleans(),
    pv_name=st.none() | names,
    doc=texts,
)
interfaces = st.builds(
    Interface,
    texts,
    texts,
    texts,
    st.lists(attributes, max_size=3).map(tuple),
    st.lists(commands, max_size=2).map(tuple),
)


def plain(interface: Interface) -> Any:
    """The interface with its enumeration members as labels: the class that they belong to is made anew."""
    text = interface.to_json()
    return interface.attributes, text


@given(interfaces)
def test_a_description_says_everything_and_is_read_back_as_it_was(interface: Interface) -> None:
    text = interface.to_json()
    again = Interface.from_json(text)
    assert plain(again) == plain(interface)
    for command, before in zip(again.commands, interface.commands, strict=True):
        assert (command.allowed, command.result, command.timeout) == (before.allowed, before.result, before.timeout)
        for argument, old in zip(command.arguments, before.arguments, strict=True):
            assert argument.datatype == old.datatype
            assert argument.limits == old.limits
            if old.default is not None and old.datatype.kind is Kind.ENUM:
                assert argument.datatype.index(argument.default) == old.datatype.index(old.default)
            else:
                assert argument.default == old.default


def test_enumerations_that_were_read_back_convert_by_label_and_by_index() -> None:
    interface = Interface.from_json(Everything("test/everything/1").interface.to_json())
    datatype = next(spec for spec in interface.attributes if spec.name == "an_enum").datatype
    assert datatype.labels == ("open", "red", "blue")
    assert datatype.index(datatype.convert("blue", "x")) == 2
    assert datatype.convert(2, "x") is datatype.convert("BLUE", "x")


def test_the_device_with_one_of_everything_is_described_by_the_agreed_words() -> None:
    data = json.loads(Everything("test/everything/1", {"pv_prefix": "EVERY:"}).interface.to_json())
    assert {key: data[key] for key in ("format", "device_class", "pv_prefix", "doc")} == {
        "format": 1,
        "device_class": "Everything",
        "pv_prefix": "EVERY:",
        "doc": "One of everything.",
    }
    attributes = {item["name"]: item for item in data["attributes"]}
    words = {
        "name": "temperature",
        "type": "float64",
        "shape": [],
        "labels": [],
        "access": "read_write",
        "unit": "K",
        "label": "Temperature",
        "limits": [0.0, 400.0],
        "warning": [80.0, 110.0],
        "alarm": [70.0, 120.0],
        "hysteresis": 2.0,
        "precision": None,
        "level": "operator",
        "memorized": "show",
        "pv_name": None,
        "mirror": True,
    }
    assert attributes["temperature"].items() >= words.items()
    assert attributes["frame"]["shape"] == [40, 60] and attributes["frame"]["type"] == "uint16"
    assert attributes["a_string"]["text_limit"] == 4096
    commands = {item["name"]: item for item in data["commands"]}
    expose = commands["expose"]
    assert (expose["kind"], expose["level"], expose["dangerous"]) == ("operation", "operator", False)
    assert (
        expose["arguments"][0].items() >= {"name": "seconds", "type": "float64", "unit": "s", "required": True}.items()
    )
    assert commands["add"]["arguments"][1]["default"] == 2 and not commands["add"]["arguments"][1]["required"]
    assert commands["fail"]["level"] == "expert" and commands["fail"]["dangerous"] is True
    assert {name for name, item in commands.items() if not item["mirror"]} >= {
        "describe",
        "operation_status",
        "operations",
        "memorized",
    }
    # JSON that any program reads: no NaN, no Infinity.
    json.loads(json.dumps(data), parse_constant=lambda word: pytest.fail(word))


def test_the_view_is_of_now_and_does_not_change_afterwards() -> None:
    device = Everything("test/everything/1")
    before = device.interface
    device.temperature.configure(unit="degC", limits=(None, 100.0))
    after = {spec.name: spec for spec in device.interface.attributes}["temperature"]
    assert (after.unit, after.limits) == ("degC", (None, 100.0))
    assert {spec.name: spec for spec in before.attributes}["temperature"].unit == "K"


# Garbage ----------------------------------------------------------------------------------------------------------


def accepted(text: str) -> bool:
    """Whether a text is taken for a description; anything but a ProtocolError fails the test."""
    try:
        Interface.from_json(text)
    except ProtocolError:
        return False
    return True


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"describe"', "{}", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_description_is_a_protocol_error(text: str) -> None:
    assert not accepted(text)


def test_a_newer_format_is_refused_by_its_number() -> None:
    data = json.loads(Everything("test/everything/1").interface.to_json())
    data["format"] = 2
    with pytest.raises(ProtocolError, match="description format 2 is not known, only 1"):
        Interface.from_json(json.dumps(data))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DESCRIPTION = json.loads(Everything("test/everything/1").interface.to_json())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything in a JSON value."""
    below: list[tuple[Any, ...]] = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        below += places(item, (*path, key))
    return below


@given(st.sampled_from(places(DESCRIPTION)), st.booleans(), json_values)
@example(("commands", 0, "allowed"), False, [3])
@example(("attributes", 0, "shape"), False, 5)
def test_a_damaged_description_is_read_or_is_a_protocol_error(path: tuple[Any, ...], missing: bool, value: Any) -> None:
    data = copy.deepcopy(DESCRIPTION)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    if missing:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    accepted(json.dumps(data))
