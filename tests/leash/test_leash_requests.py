"""Messages: what is a request, what is not, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, DiptychError, NotAllowedError, RangeError
from servers.leash.feeder_link import announced_path, announcement
from servers.leash.reply import Encoded, Reply
from servers.leash.request import DEPTH, Limits, RequestSchemaError, attachment_digests, parse_request
from servers.leash.signature import Gatekeeper
from tests.leash.detector import SECRET
from tests.leash.raw_client import signed

SMALL = Limits(request=2000, attachment=1000, message=2500, parts=4)


def parsed(*parts: bytes, limits: Limits = SMALL) -> Any:
    return parse_request(parts, Gatekeeper(SECRET), limits)


def request(command: str, argument: dict[str, Any] | None = None) -> bytes:
    return json.dumps(signed(SECRET, command, argument)).encode()


def attached(data: str, name: str = "AAA_integ.msk") -> bytes:
    return json.dumps({"filename": name, "data": data}).encode()


def test_masks_travel_as_latin_1_and_logs_as_utf_8() -> None:
    every_byte = bytes(range(256))
    found = parsed(request("new", {"calibration": {}}), attached(every_byte.decode("latin-1")), limits=Limits())
    assert [(file.filename, file.data) for file in found.files("latin-1")] == [("AAA_integ.msk", every_byte)]
    (log,) = parsed(request("mergedata", {"mergeconf": {}}), attached("T [°C]\t20.5\n", "peak.log")).files("utf-8")
    assert log.data == b"T [\xc2\xb0C]\t20.5\n"


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"not JSON", "not JSON"),
        (b"[]", 'not {"filename": text'),
        (b"7", 'not {"filename": text'),
        (b'{"filename": "a.msk"}', 'not {"filename": text'),
        (b'{"filename": "a.msk", "data": 7}', 'not {"filename": text'),
        (b'{"filename": ["a.msk"], "data": ""}', 'not {"filename": text'),
        (b"[" * 900, 'not JSON|not {"filename": text'),
        ('{"filename": "a.msk", "data": "ab€"}'.encode(), "character 2 of its data is no byte"),
    ],
)
def test_an_attachment_that_is_no_file_is_named(part: bytes, problem: str) -> None:
    message = parsed(request("new", {"calibration": {}}), attached("MASK"), part)
    with pytest.raises(BadValueError, match=f"attachment 2: .*(?:{problem})"):
        message.files("latin-1")


def test_an_attachment_that_was_swapped_on_its_way_is_refused_when_the_client_signed_it() -> None:
    mask, other = attached("MASK"), attached("KSAM")
    message = request("new", {"calibration": {}, "data": {"attachments": attachment_digests([mask])}})
    assert parsed(message, mask).files("latin-1")[0].data == b"MASK"
    for parts in ([other], [], [mask, mask]):
        with pytest.raises(BadValueError, match="not those that were signed"):
            parsed(message, *parts).files("latin-1")
    with pytest.raises(BadValueError, match="not those that were signed"):
        parsed(request("new", {"calibration": {}, "data": {"attachments": 7}}), mask).files("latin-1")


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ([b" " * 2001], "the request has 2001 bytes, more than 2000"),
        ([b"{}", b"", b"x" * 1001], "attachment 2 has 1001 bytes, more than 1000"),
        ([b"{}", b"x" * 900, b"x" * 900, b"x" * 900], "the message has 2702 bytes, more than 2500"),
        ([b"{}", b"", b"", b"", b""], r"the message has 5 parts, outside of \[1, 4\]"),
        ([], r"the message has 0 parts"),
    ],
)
def test_what_is_too_large_is_refused_before_anybody_looks_into_it(parts: list[bytes], what: str) -> None:
    with pytest.raises(RangeError, match=what):
        parsed(*parts)


@pytest.mark.parametrize("depth", [DEPTH + 1, 500, 100_000])
@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_a_request_that_is_nested_too_deeply_is_refused(depth: int, bracket: str) -> None:
    opening = "[" if bracket == "[]" else '{"a":'
    text = opening * depth + "0" + bracket[1] * depth
    with pytest.raises(RangeError, match=f"nested more than {DEPTH} levels"):
        parsed(text.encode(), limits=Limits())


@pytest.mark.parametrize(
    "document",
    [
        [],
        None,
        7,
        "stat",
        {},
        {"command": "putplotdata"},
        {"command": "send plot"},
        {"command": ["stat"]},
        {"command": "stat", "more": 1},
        {"command": "stat", "argument": []},
        {"command": "stat", "argument": {"file": "x"}},
        {"command": "stat", "time": "now"},
        {"command": "stat", "time": True},
        {"command": "stat", "sign": 7},
        {"command": "listdir", "argument": {"directory": "img"}},
        {"command": "listdir", "argument": {"directory": [7]}},
        {"command": "new", "argument": {"calibration": "cal.json"}},
    ],
)
def test_the_schema_is_judged_before_the_signature(document: Any) -> None:
    with pytest.raises(RequestSchemaError):
        parsed(json.dumps(document).encode())


@pytest.mark.parametrize("text", [b"", b"\xff", b"stat", b'{"command": "stat"', b'{"a": ' + b"9" * 5000 + b"}", b"\0"])
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        parsed(text, limits=Limits())


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_no_message_does_anything_but_fail_with_an_error_that_is_expected(parts: list[bytes]) -> None:
    with pytest.raises((ValueError, KeyError, NotAllowedError)):
        parsed(*parts)


@given(st.text(min_size=1).filter(lambda path: "\0" not in path))
def test_the_path_of_an_announcement_survives_the_way(path: str) -> None:
    assert announced_path([announcement(path)]) == path


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"\xff"],
        [b"img/a.tif"],
        [b"[]"],
        [b"{}"],
        [b'{"command": "new file", "argument": 7}'],
        [b'{"command": "new file", "argument": ""}'],
        [b'{"command": "new file", "argument": "a\\u0000.tif"}'],
        [b'{"command": "abort", "argument": "a.tif"}'],
        [b"[" * 60_000],
        [announcement("a.tif"), b""],
    ],
)
def test_a_message_of_the_feeder_that_announces_no_file_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(DiptychError, match=r"no announcement|announces no file"):
        announced_path(parts)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(), st.dictionaries(st.text(), values, max_size=4), st.lists(st.floats()))
def test_a_reply_is_read_as_it_was_meant_also_where_it_was_spelled_before(
    result: str, data: dict[str, Any], history: list[float]
) -> None:
    text = Reply(result, data | {"history": Encoded(json.dumps(history))}).text()
    found = json.loads(text)
    assert repr(found) == repr({"result": result, "data": data | {"history": history}})
    assert b"\n" not in text
