"""Examples: valid messages with damage, numbers that are too great, JSON that is deep, and plain noise."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

#: What stands in the place of a number.
NUMBERS = (
    *(b"0", b"-1", b"1", b"255", b"65535", b"4294967295", b"18446744073709551616", b"-9223372036854775809"),
    *(b"1e308", b"1e999", b"-1e999", b"nan", b"inf", b"0x10", b"1_000", b"9" * 400, b"9" * 5000, b"\xd9\xa3", b"."),
)
DEEP = ("[" * 3000, '{"a":' * 3000, "[" * 3000 + "]" * 3000, '{"a":[' * 2000)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


@st.composite
def damaged(draw: DrawFn, samples: Sequence[bytes]) -> bytes:
    """A valid message with up to four pieces of damage."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 16)))
        match draw(st.integers(0, 5)):
            case 0:
                data[at:end] = draw(st.binary(max_size=16))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = bytes(data[:end]) if draw(st.booleans()) else bytes(data[at:end]) * 50
            case 3:
                data[at:end] = draw(
                    st.sampled_from((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\r\n", b"\n", b"\x80"))
                )
            case 4:
                places = [each.span() for each in _NUMBER.finditer(bytes(data))]
                if places:
                    begin, stop = draw(st.sampled_from(places))
                    data[begin:stop] = draw(st.sampled_from(NUMBERS))
            case _:
                if data:
                    data[at % len(data)] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


def messages(*samples: bytes | str, noise: int = 400) -> SearchStrategy[bytes]:
    """Damaged messages, and noise."""
    as_bytes = [each.encode() if isinstance(each, str) else each for each in samples]
    return st.one_of(damaged(as_bytes), damaged(as_bytes), st.binary(max_size=noise))


def texts(*samples: str, noise: int = 200) -> SearchStrategy[str]:
    """The same as texts."""
    return st.one_of(
        damaged([each.encode() for each in samples]).map(lambda data: data.decode("utf-8", "replace")),
        damaged([each.encode() for each in samples]).map(lambda data: data.decode("latin-1")),
        st.text(max_size=noise),
    )


ATOMS: SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**63, -1, 0]),
    st.floats(),
    st.text(max_size=20),
)


def values(*keys: str) -> SearchStrategy[object]:
    """Anything that JSON can say, with these keys more often than others."""
    names = st.one_of(st.sampled_from(keys), st.text(max_size=8)) if keys else st.text(max_size=8)
    return st.recursive(
        ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=12
    )


def json_texts(*samples: object, keys: Sequence[str] = ()) -> SearchStrategy[str]:
    """JSON of another form, damaged JSON, JSON that is deep."""
    spelled = [each if isinstance(each, str) else json.dumps(each) for each in samples]
    found = [values(*keys).map(json.dumps), st.sampled_from(DEEP)]
    return st.one_of(*found, texts(*spelled)) if spelled else st.one_of(*found)


def replaced(sample: dict[str, object], *keys: str) -> SearchStrategy[dict[str, object]]:
    """A document of which some entries are something else."""
    entries = st.dictionaries(st.sampled_from(list(sample)), values(*keys), max_size=3)
    return entries.map(lambda found: {**sample, **found})


def cut(data: SearchStrategy[bytes]) -> SearchStrategy[list[bytes]]:
    """A stream as TCP cuts it."""

    def pieces(drawn: tuple[bytes, list[int]]) -> list[bytes]:
        whole, sizes = drawn
        found, at = [], 0
        for size in sizes:
            found.append(whole[at : at + size])
            at += size
        return [*found, whole[at:]]

    return st.tuples(data, st.lists(st.integers(1, 200), max_size=6)).map(pieces)
