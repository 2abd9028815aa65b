"""The parser of requests, fed with anything, cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.ingest.inbox import HEAD_BYTES, Inbox
from servers.ingest.request import RequestError, RequestHead

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
BODIES = st.binary(max_size=300)
FIELDS = st.lists(
    st.tuples(
        st.text(st.sampled_from("abcXYZ-09!#"), min_size=1, max_size=12),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30),
    ),
    max_size=5,
)
END = st.sampled_from([b"\r\n", b"\n"])


@st.composite
def messages(draw: Any) -> tuple[bytes, str, bytes]:
    """A request as it is sent, its target, its body."""
    target, body, end = draw(NAMES), draw(BODIES), draw(END)
    # The names of fields that mean something to us are not drawn: "content-length" is longer than 12 characters.
    fields = [f"{name}: {value}" for name, value in draw(FIELDS)]
    fields.insert(
        draw(st.integers(0, len(fields))), f"{draw(st.sampled_from(['Content-Length', 'CONTENT-length']))}:{len(body)}"
    )
    empty = draw(st.sampled_from([b"", b"\r\n", b"\n"]))
    head = end.join(line.encode() for line in [f"PUT {target} HTTP/1.1", *fields]) + end + end
    return empty + head + body, target, body


def feed(inbox: Inbox, stream: bytes, cuts: list[int]) -> list[tuple[RequestHead, bytes]]:
    """What an inbox makes of a stream that comes in pieces of the given lengths, over and over."""
    found: list[tuple[RequestHead, bytes]] = []
    head: RequestHead | None = None
    body = bytearray()
    sent = turn = 0

    def look() -> bool:
        nonlocal head, body
        if inbox.lacks_body:
            return False
        if head is not None:
            found.append((head, bytes(body)))
            head = None
        head = inbox.take_head()
        if head is None:
            return False
        body = bytearray(head.length)
        inbox.begin_body(memoryview(body))
        return True

    while sent < len(stream):
        room = inbox.writable()
        count = min(cuts[turn % len(cuts)], len(room), len(stream) - sent)
        assert count, "a full inbox gives a head, or an error"
        room[:count] = stream[sent : sent + count]
        inbox.wrote(count)
        sent, turn = sent + count, turn + 1
        while look():
            pass
    return found


@given(st.lists(messages(), min_size=1, max_size=5), st.lists(st.integers(1, 400), min_size=1, max_size=9))
@settings(deadline=None)
def test_requests_are_the_same_however_they_are_cut(sent, cuts):
    stream = b"".join(each[0] for each in sent)
    found = feed(Inbox(), stream, cuts)
    assert [(head.target, body) for head, body in found] == [(target, body) for _, target, body in sent]


@given(st.binary(max_size=600), st.lists(st.integers(1, 50), min_size=1, max_size=5))
@settings(deadline=None)
def test_garbage_is_refused_or_waits_for_more(garbage, cuts):
    try:
        found = feed(Inbox(), garbage, cuts)
    except RequestError as error:
        assert 400 <= error.status <= 505 and error.receipt
    else:
        assert not found or garbage.lstrip(b"\r\n").startswith(b"PUT ")


@given(messages(), st.data())
@settings(deadline=None)
def test_one_wrong_byte_ends_as_a_request_or_as_a_refusal(sent, data):
    stream = bytearray(sent[0])
    stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    try:
        feed(Inbox(), bytes(stream), [7])
    except RequestError as error:
        assert 400 <= error.status <= 505
    # A length may have become larger by this: what lacks then is waited for.


def test_empty_lines_are_no_head_and_take_no_room():
    inbox = Inbox()
    stream = b"\r\n" * HEAD_BYTES + b"PUT /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    ((head, _),) = feed(inbox, stream + b"x", [1])
    assert head.target == "/a"


@pytest.mark.parametrize(
    ("field", "keeps"),
    [
        ("Connection: close", False),
        ("Connection: Keep-Alive, Close", False),
        ("Connection: keep-alive", True),
        ("A: b", True),
    ],
)
def test_a_client_says_whether_its_connection_stays(field, keeps):
    assert RequestHead.parse(f"PUT / HTTP/1.1\nContent-Length: 0\n{field}".encode()).keeps is keeps
