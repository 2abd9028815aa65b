"""Data types: what is kept bit for bit, and what is refused."""

from __future__ import annotations

import enum
import json
import struct
import typing
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from devices.core import DataType, DeviceState, Encoded, Kind
from devices.core.datatype import DEFAULT_ARGUMENT_LENGTH
from devices.core.errors import BadValueError, RangeError

#: The whole numbers that each kind holds, written out and not asked of numpy.
RANGES = {
    Kind.UINT8: (0, 255),
    Kind.INT16: (-32768, 32767),
    Kind.UINT16: (0, 65535),
    Kind.INT32: (-2147483648, 2147483647),
    Kind.UINT32: (0, 4294967295),
    Kind.INT64: (-9223372036854775808, 9223372036854775807),
    Kind.UINT64: (0, 18446744073709551615),
}
NUMPY = {kind: getattr(np, kind.value) for kind in (*RANGES, Kind.FLOAT32, Kind.FLOAT64)}


class Filter(enum.Enum):
    """Texts are the labels; not in alphabetical order."""

    OPEN = "open"
    RED = "Red 650 nm"
    BLUE = "blue"


class Gain(enum.IntEnum):
    """Names are the labels; the numbers are not the positions."""

    LOW = 40
    HIGH = 10


class Shutter(enum.Enum):
    OPEN = "open"


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


def through_json(datatype: DataType, value: Any) -> Any:
    return datatype.convert(json.loads(json.dumps(datatype.to_json(value))), "x")


# Declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "python_type, shape, kind, expected_shape",
    [
        (bool, (), Kind.BOOL, ()),
        (int, (), Kind.INT64, ()),
        (float, (), Kind.FLOAT64, ()),
        (str, (), Kind.STRING, ()),
        (bytes, (), Kind.ENCODED, ()),
        (Encoded, (), Kind.ENCODED, ()),
        (Filter, (), Kind.ENUM, ()),
        (DeviceState, (), Kind.STATE, ()),
        (np.uint16, (40, 60), Kind.UINT16, (40, 60)),
        (np.ndarray, (40, 60), Kind.FLOAT64, (40, 60)),
        (np.ndarray, (), Kind.FLOAT64, (DEFAULT_ARGUMENT_LENGTH,)),
        (np.ndarray[Any, Any], (40, 60), Kind.FLOAT64, (40, 60)),
        (np.ndarray[Any, np.dtype[np.int32]], (), Kind.INT32, (DEFAULT_ARGUMENT_LENGTH,)),
        (list[float], (), Kind.FLOAT64, (DEFAULT_ARGUMENT_LENGTH,)),
        (list[str], (12,), Kind.STRING, (12,)),
        (tuple[int, ...], (), Kind.INT64, (DEFAULT_ARGUMENT_LENGTH,)),
        (Sequence[Filter], (3,), Kind.ENUM, (3,)),
        (Annotated[float, "about"], (), Kind.FLOAT64, ()),
        (typing.Literal["slow", "fast"], (), Kind.STRING, ()),
    ],
)
def test_a_declaration_gives_its_type_and_shape(
    python_type: Any, shape: tuple[int, ...], kind: Kind, expected_shape: tuple[int, ...]
) -> None:
    datatype = DataType.of(python_type, shape)
    assert (datatype.kind, datatype.shape) == (kind, expected_shape)


@pytest.mark.parametrize(
    "python_type",
    [
        complex,
        object,
        dict,
        dict[str, float],
        float | None,
        np.float16,
        np.int8,
        np.datetime64,
        typing.Literal[1, 2],
        list[complex],
        None,
        "nonsense",
    ],
)
def test_a_type_that_the_model_does_not_know_is_refused_when_it_is_declared(python_type: Any) -> None:
    with pytest.raises(TypeError):
        DataType.of(python_type)


@pytest.mark.parametrize("shape", [(2, 3, 4), (0,), (3, -1)])
def test_a_shape_is_a_spectrum_or_an_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match="shape"):
        DataType.of(float, shape)


# Whole numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RANGES)
def test_both_ends_of_a_range_are_kept_and_the_next_number_is_refused(kind: Kind) -> None:
    datatype, spectrum = DataType.of(NUMPY[kind]), DataType.of(NUMPY[kind], (5,))
    for end, beyond in zip(RANGES[kind], (RANGES[kind][0] - 1, RANGES[kind][1] + 1), strict=True):
        converted = datatype.convert(end, "x")
        assert converted == end and type(converted) is int
        assert through_json(datatype, converted) == end
        assert spectrum.convert([end, 1], "x").tolist() == [end, 1]
        with pytest.raises(RangeError, match="x"):
            datatype.convert(beyond, "x")
        with pytest.raises(RangeError, match="x"):
            spectrum.convert([beyond, 1], "x")


@given(st.sampled_from(sorted(RANGES)), st.one_of(st.integers(-(2**65), 2**65), st.integers(-300, 300)))
def test_a_whole_number_is_kept_exactly_or_refused(kind: Kind, number: int) -> None:
    datatype = DataType.of(NUMPY[kind])
    low, high = RANGES[kind]
    if low <= number <= high:
        assert datatype.convert(number, "x") == number
        assert through_json(datatype, number) == number
    else:
        with pytest.raises(RangeError):
            datatype.convert(number, "x")


@given(st.data())
def test_a_list_of_whole_numbers_is_kept_to_the_last_digit(data: st.DataObject) -> None:
    """Numbers above 2**63 beside small ones: numpy alone would make float64 of them."""
    kind = data.draw(st.sampled_from(sorted(RANGES)))
    low, high = RANGES[kind]
    near_ends = st.one_of(st.integers(low, high), st.integers(high - 9, high), st.integers(low, low + 9))
    row = data.draw(st.lists(near_ends, min_size=1, max_size=5))
    assert DataType.of(NUMPY[kind], (5,)).convert(row, "x").tolist() == row
    assert DataType.of(NUMPY[kind], (1, 5)).convert([row], "x").tolist() == [row]


@given(st.sampled_from(sorted(RANGES)), st.floats())
@example(Kind.INT64, 2.0**63)
@example(Kind.UINT64, 2.0**64)
@example(Kind.UINT8, -0.0)
@example(Kind.INT32, 1e300)
def test_a_float_becomes_a_whole_number_only_when_it_is_one_that_fits(kind: Kind, number: float) -> None:
    low, high = RANGES[kind]
    fits = number == number and abs(number) != float("inf") and number == int(number) and low <= int(number) <= high
    for datatype, given_value in (
        (DataType.of(NUMPY[kind]), number),
        (DataType.of(NUMPY[kind], (2,)), [number]),
        (DataType.of(NUMPY[kind], (2,)), np.array([number])),
    ):
        if fits:
            assert np.ravel(datatype.convert(given_value, "x")).tolist() == [int(number)]
        else:
            with pytest.raises((RangeError, BadValueError)):
                datatype.convert(given_value, "x")


# Floats -----------------------------------------------------------------------------------------------------------


@given(st.floats())
@example(-0.0)
@example(5e-324)
def test_a_double_is_kept_bit_for_bit(number: float) -> None:
    converted = DataType.of(float).convert(number, "x")
    array = DataType.of(float, (3,)).convert([number], "x")
    if number == number:
        assert bits(converted) == bits(number) == bits(array[0])
        assert bits(through_json(DataType.of(float), converted)) == bits(number)
    else:
        assert converted != converted and array[0] != array[0]


@given(st.floats(width=32))
@example(-0.0)
def test_a_single_is_kept_bit_for_bit(number: float) -> None:
    converted = DataType.of(np.float32).convert(number, "x")
    assert bits(converted) == bits(number) or converted != converted
    assert DataType.of(np.float32, (1,)).convert([number], "x").dtype == np.float32


@pytest.mark.parametrize("number", [1e39, -3.5e38, 10**400, -(10**400)])
def test_a_number_too_large_for_a_single_is_refused_and_not_made_infinite(number: float) -> None:
    with pytest.raises(RangeError, match="float32"):
        DataType.of(np.float32).convert(number, "power")
    with pytest.raises((RangeError, BadValueError), match="power"):
        DataType.of(np.float32, (2, 3)).convert([[1.0, 2.0, number]], "power")


def test_infinity_itself_is_a_single_and_a_giant_whole_number_is_no_double() -> None:
    assert DataType.of(np.float32).convert(float("-inf"), "x") == float("-inf")
    assert DataType.of(np.float32, (2,)).convert([float("inf")], "x")[0] == float("inf")
    with pytest.raises(RangeError, match="x"):
        DataType.of(float).convert(10**400, "x")


# Bool, text, enumerations, bytes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given_value, kept", [(True, True), (0, False), (1.0, True), (np.bool_(True), True)])
def test_a_bool_is_true_false_one_or_zero(given_value: Any, kept: bool) -> None:
    assert DataType.of(bool).convert(given_value, "x") is kept
    assert DataType.of(bool, (4,)).convert([given_value, False], "x").tolist() == [kept, False]
    assert through_json(DataType.of(bool), kept) is kept


@pytest.mark.parametrize("other", [2, 0.5, float("nan"), -1, "true"])
def test_a_bool_is_nothing_else_alone_or_in_an_array(other: Any) -> None:
    with pytest.raises(BadValueError):
        DataType.of(bool).convert(other, "shutter")
    with pytest.raises(BadValueError, match="shutter"):
        DataType.of(bool, (4,)).convert([other, True], "shutter")


texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40)


@given(texts)
def test_a_text_is_kept(text: str) -> None:
    datatype = DataType.of(str)
    assert datatype.convert(text, "x") == text == through_json(datatype, text)


def test_a_text_has_its_limit_no_nul_and_one_of_its_choices() -> None:
    short = DataType.of(str, text_limit=5)
    assert short.convert("Grüße", "x") == "Grüße"
    with pytest.raises(RangeError, match="title has 6 characters, at most 5"):
        short.convert("Grüße!", "title")
    with pytest.raises(BadValueError, match="NUL"):
        short.convert("a\0b", "title")
    speed = DataType.of(typing.Literal["slow", "fast"])
    assert speed.convert("fast", "speed") == "fast"
    with pytest.raises(RangeError, match="speed = 'warp' is none of slow, fast"):
        speed.convert("warp", "speed")


@given(st.lists(texts, max_size=12))
def test_a_list_of_texts_is_kept(row: list[str]) -> None:
    datatype = DataType.of(str, (12,))
    assert datatype.convert(row, "x") == tuple(row) == through_json(datatype, tuple(row))
    assert datatype.convert(np.array(row, dtype=object), "x") == tuple(row)


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(texts, min_size=n, max_size=n), max_size=4)))
def test_a_table_of_texts_is_kept_row_by_row(table: list[list[str]]) -> None:
    datatype = DataType.of(str, (4, 3))
    expected = tuple(tuple(row) for row in table)
    assert datatype.convert(table, "x") == expected == through_json(datatype, expected)


def test_a_table_of_texts_is_refused_when_ragged_too_high_or_too_wide() -> None:
    table = DataType.of(str, (2, 3))
    with pytest.raises(BadValueError, match="differ in length"):
        table.convert([["a", "b"], ["c"]], "names")
    with pytest.raises(RangeError, match="3 elements, at most 2"):
        table.convert([["a"], ["b"], ["c"]], "names")
    with pytest.raises(RangeError, match="4 elements, at most 3"):
        table.convert([["a", "b", "c", "d"]], "names")
    with pytest.raises(BadValueError):
        table.convert(["abc", "def"], "names")


@pytest.mark.parametrize("given_value", [Filter.RED, 1, 1.0, np.int32(1), "Red 650 nm", "red 650 NM", " Red 650 nm "])
def test_an_enumeration_takes_a_member_an_index_or_a_label(given_value: Any) -> None:
    datatype = DataType.of(Filter)
    assert datatype.convert(given_value, "filter") is Filter.RED
    assert datatype.index(Filter.RED) == 1
    assert through_json(datatype, Filter.RED) is Filter.RED


@pytest.mark.parametrize(
    "other", [3, -1, 0.5, float("nan"), float("inf"), 10**400, "green", "", None, Shutter.OPEN, b"open", [0]]
)
def test_an_enumeration_refuses_everything_else_and_lists_its_labels(other: Any) -> None:
    with pytest.raises(RangeError, match=r"filter = .* is none of open, Red 650 nm, blue"):
        DataType.of(Filter).convert(other, "filter")


def test_an_index_is_a_position_and_never_the_number_of_a_member() -> None:
    datatype = DataType.of(Gain)
    assert datatype.labels == ("LOW", "HIGH")
    assert datatype.convert(1, "gain") is Gain.HIGH
    assert datatype.convert("low", "gain") is Gain.LOW
    with pytest.raises(RangeError):
        datatype.convert(10, "gain")


def test_states_and_lists_of_members_go_by_name() -> None:
    assert through_json(DataType.of(DeviceState), DeviceState.MOVING) is DeviceState.MOVING
    row = DataType.of(Filter, (4,))
    assert row.convert(["blue", 0], "x") == (Filter.BLUE, Filter.OPEN) == through_json(row, (Filter.BLUE, Filter.OPEN))


def test_bytes_get_an_empty_format_and_texts_are_no_bytes() -> None:
    datatype = DataType.of(bytes)
    assert datatype.convert(b"\x00\xff", "x") == Encoded("", b"\x00\xff")
    jpeg = Encoded("image/jpeg", b"\xff\xd8")
    assert datatype.convert(jpeg, "x") is jpeg
    with pytest.raises(BadValueError):
        datatype.convert("text", "x")


@pytest.mark.parametrize("datatype", [DataType.of(float), DataType.of(int), DataType.of(str), DataType.of(bool)])
@pytest.mark.parametrize("value", [None, [], {}, b"1", object(), 1j])
def test_a_scalar_of_another_type_is_refused(datatype: DataType, value: Any) -> None:
    with pytest.raises(BadValueError, match="pressure"):
        datatype.convert(value, "pressure")


def test_a_text_is_no_number() -> None:
    for kind in (float, int, np.float32, bool):
        with pytest.raises(BadValueError, match="pressure = '5' is not a"):
            DataType.of(kind).convert("5", "pressure")


# Arrays -----------------------------------------------------------------------------------------------------------


def arrays_of(kind: Kind) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays of a kind, at most (3, 5), in both byte orders, also as every second element of a larger one."""
    names = {Kind.FLOAT32: "f4", Kind.FLOAT64: "f8", Kind.BOOL: "?"}
    name = names.get(kind) or kind.value.replace("uint", "u").replace("int", "i")
    if name[0] in "iu":
        name = f"{name[0]}{int(name[1:]) // 8}"
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5).filter(lambda s: s[0] <= 3)
    plain = st.sampled_from("<>").flatmap(lambda order: hnp.arrays(np.dtype(order + name), shapes))

    def strided(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        wide = np.repeat(np.repeat(array, 2, axis=0), 2, axis=1)
        return wide[::2, ::2]

    return st.one_of(plain, plain.map(strided), plain.map(np.asfortranarray))


@given(st.data())
def test_an_image_is_kept_whatever_its_byte_order_and_strides(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([*NUMPY, Kind.BOOL]))
    array = data.draw(arrays_of(kind))
    datatype = DataType.of(NUMPY.get(kind, bool), (3, 5))
    before = array.copy()
    for copy in (True, False):
        given_array = array.copy(order="K")
        kept = datatype.convert(given_array, "frame", copy=copy)
        assert kept.dtype == np.dtype(kind.value) and kept.dtype.isnative
        assert kept.flags.c_contiguous and not kept.flags.writeable
        assert kept.shape == before.shape
        assert np.array_equal(kept, before, equal_nan=kind in (Kind.FLOAT32, Kind.FLOAT64))
        assert not (copy and np.shares_memory(kept, given_array))
    if array.size:
        again = through_json(datatype, kept)
        assert again.shape == before.shape
        assert np.array_equal(again, kept, equal_nan=kind in (Kind.FLOAT32, Kind.FLOAT64))


def test_an_array_that_is_given_away_is_not_copied_and_one_that_is_lent_stays_its_owners() -> None:
    lent, given_away = np.arange(15, dtype=np.uint16).reshape(3, 5), np.arange(15, dtype=np.uint16).reshape(3, 5)
    datatype = DataType.of(np.uint16, (3, 5))
    kept = datatype.convert(lent, "frame")
    lent[2, 4] = 999
    assert kept[2, 4] == 14
    assert np.shares_memory(datatype.convert(given_away, "frame", copy=False), given_away)
    with pytest.raises(ValueError, match="read-only"):
        given_away[0, 0] = 1


def test_rows_and_columns_are_not_exchanged() -> None:
    wide = DataType.of(np.uint8, (3, 5))
    assert wide.convert(np.zeros((3, 5), np.uint8), "frame").shape == (3, 5)
    assert wide.convert(np.zeros((1, 2), np.uint8), "frame").shape == (1, 2)
    with pytest.raises(RangeError, match=r"frame has the shape \(5, 3\), at most \(3, 5\) is allowed"):
        wide.convert(np.zeros((5, 3), np.uint8), "frame")


@pytest.mark.parametrize(
    "value",
    [None, 3.0, "abc", ["a"], [[1.0, 2.0], [3.0]], {"a": 1}, [1j], [None], [[[1.0]]], np.array("2026", "M8[Y]")],
)
def test_what_is_no_array_of_numbers_is_refused(value: Any) -> None:
    for shape in ((4,), (4, 6)):
        with pytest.raises(BadValueError, match="spectrum"):
            DataType.of(float, shape).convert(value, "spectrum")


def test_an_empty_spectrum_and_an_empty_image_are_values() -> None:
    assert DataType.of(float, (4,)).convert([], "x").shape == (0,)
    image = DataType.of(np.uint16, (4, 6))
    assert image.convert(np.empty((0, 6), np.uint16), "x").shape == (0, 6)
    assert through_json(image, np.empty((0, 6), np.uint16)).size == 0
    assert DataType.of(str, (4,)).convert([], "x") == ()
    assert DataType.of(str, (4, 6)).convert([], "x") == ()


def test_a_spectrum_that_is_too_long_is_refused() -> None:
    for kind in (float, bool, str):
        value = [kind(1)] * 5
        with pytest.raises(RangeError, match="at most"):
            DataType.of(kind, (4,)).convert(value, "x")
