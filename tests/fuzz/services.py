"""What clients send to our servers."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import caproto as ca
import numpy as np
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import strategies as st

from devices.core.errors import BadValueError, DiptychError, NotAllowedError, ProtocolError
from devices.dcss.loop_frames import FrameInlet
from devices.drivers.image_header import parse_date
from devices.pipelines.loop.settings import LoopSettings
from servers.alarms import formula
from servers.alpaca import call as alpaca_call
from servers.alpaca import member as alpaca_member
from servers.automl.server import AutomlServer, _WrongQuestion
from servers.axis.receiver import AxisReceiver, AxisSettings
from servers.azcam import argument, reply
from servers.azcam.connection import Connection
from servers.azcam.settings import AzcamSettings
from servers.azcam.words import split_words
from servers.daqdata import daq_data_pb2 as pb
from servers.daqdata.decode import decode_response
from servers.daqdata.wire import decode_upload
from servers.epics.dbr import decode
from servers.epics.filters import filter_of
from servers.epics.records import Kind, Record
from servers.history.ca_messages import Decoder
from servers.ingest.inbox import Inbox
from servers.ingest.request import RequestError
from servers.leash.feeder_link import announced_path
from servers.leash.request import Limits, parse_request
from servers.leash.signature import Gatekeeper
from servers.log.parser import Parser
from servers.log.question import question_of
from servers.panels.bob import from_xml
from servers.web.server import WebConfig, application
from servers.web.trends import _question
from servers.web.typed import query_of
from tests.epics.ca_bench import Bench
from tests.fuzz.mutation import cut, json_texts, messages, texts, values
from tests.fuzz.peers import said, wait
from tests.fuzz.target import Target
from tests.leash.raw_client import signed

SECRET = "a secret of sixteen characters and more"
CA_NAMES = ("T", "S", "W", 'W.{"arr":{"s":1}}', "W.[1:2]", "N$", "I", "T.EGU")


# EPICS ----------------------------------------------------------------------------------------------------------------


@cache
def bench() -> Bench:
    """A Channel Access server."""
    return Bench()


def ca_message(command: int, payload: bytes, data_type: int, count: int, first: int, second: int) -> bytes:
    padded = payload + bytes(-len(payload) % 8)
    return struct.pack(">HHHHII", command, len(padded), data_type, count, first, second) + padded


def ca_conversation() -> bytes:
    """Names a user, creates channels, reads, writes and subscribes."""
    parts = [ca_message(0, b"", 0, 13, 0, 0), ca_message(20, b"anna\0", 0, 0, 0, 0)]
    for number, name in enumerate(CA_NAMES):
        parts.append(ca_message(18, name.encode() + b"\0", 0, 0, number, 13))
    for sid in range(1, 5):
        parts.append(ca_message(15, b"", 6, 1, sid, sid))
        parts.append(ca_message(19, struct.pack(">d", 2.5), 6, 1, sid, sid))
        parts.append(ca_message(1, struct.pack(">fffHH", 0.0, 0.0, 0.0, 1, 0), 20, 1, sid, sid))
    return b"".join(parts)


def _ca(data: bytes) -> None:
    port = bench().server.port
    said(port, data, 0.05)
    # Another client is served as before.
    answer = said(port, ca_message(0, b"", 0, 13, 0, 0) + ca_message(23, b"", 0, 0, 0, 0), 5.0)
    assert answer.startswith(b"\0\0"), answer
    assert b"\0\x17" in answer, answer


def _ca_search(data: bytes) -> None:
    port = bench().server.port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5.0)
        client.connect(("127.0.0.1", port))
        client.send(data)
        client.send(ca.Broadcaster(ca.CLIENT).send(ca.VersionRequest(0, 13), ca.SearchRequest("T", 4711, 13)))
        while struct.pack(">I", 4711) not in client.recv(65536):
            pass


def _dbr(drawn: tuple[int, list[float], bytes]) -> None:
    number, numbers, raw = drawn
    for record in (
        Record("T", Kind.FLOAT64),
        Record("N", Kind.STRING, text_limit=20),
        Record("W", Kind.INT16, rank=1, max_length=4),
    ):
        for data in (np.array(numbers, ">f8"), np.frombuffer(raw, "u1"), [raw, b"1"]):
            try:
                record.convert(decode(data, ca.ChannelType(number) if 0 <= number < 39 else number, record))  # type: ignore[arg-type]
            except DiptychError:
                continue


# Web ------------------------------------------------------------------------------------------------------------------


class Pages:
    """The web server of panels, without a mirror behind it, and a page of each kind."""

    def __init__(self) -> None:
        self.token = ""
        wait(self._start())

    async def _start(self) -> None:
        config = WebConfig(
            "fuzz",
            {"EPICS_PVA_NAME_SERVERS": "127.0.0.1:1", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_ADDR_LIST": ""},
            ["NONE:"],
            Path(__file__).parent,
        )
        runner = web.AppRunner(application(config), access_log=None)
        self.runner = runner
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self.session = aiohttp.ClientSession(f"http://127.0.0.1:{self.port}")
        self.pvs = await self.session.ws_connect("/pvws/pv")
        self.token = (await self.pvs.receive_json())["token"]

    async def close(self) -> None:
        await self.session.close()
        await self.runner.cleanup()

    async def say(self, socket: Any, text: str) -> None:
        """Say something; afterwards the socket still answers."""
        await socket.send_str(text)
        await socket.send_str('{"type":"echo","mark":4711}')
        while True:
            answer = await socket.receive(20.0)
            assert answer.type is aiohttp.WSMsgType.TEXT, (answer, text)
            if '"mark":4711' in answer.data:
                return

    async def say_to_images(self, text: str) -> None:
        # One of its own: a socket that nobody reads for a while is closed.
        async with self.session.ws_connect("/pvws/image") as images:
            await images.send_json({"type": "hello", "token": self.token})
            await self.say(images, text)


@cache
def pages() -> Pages:
    return Pages()


PV_KEYS = ("type", "pvs", "pv", "value", "arguments", "id", "batch", "credit", "view", "token", "limit", "x", "y")
PV_TYPES = (
    "hello",
    "subscribe",
    "clear",
    "write",
    "call",
    "list",
    "credit",
    "view",
    "close",
    "probe",
    "statistics",
    "profile",
)
SURROGATE = '{"type":"subscribe","pvs":["\\ud800"]}'


def page_messages() -> st.SearchStrategy[str]:
    """Messages of pages, of any form behind the type."""
    kinds = st.sampled_from(PV_TYPES)
    several = st.dictionaries(st.sampled_from(PV_KEYS), values(*PV_KEYS), max_size=5)
    typed = st.tuples(kinds, several).map(lambda drawn: json.dumps({**drawn[1], "type": drawn[0]}))
    return st.one_of(
        typed,
        typed,
        json_texts(
            {"type": "subscribe", "pvs": ["A:B"]},
            {"type": "write", "pv": "A:B", "value": 1, "id": 1},
            {"type": "call", "pv": "A:B", "arguments": {"a": 1}},
            {"type": "view", "view": 1, "pv": "A:B", "width": 10, "height": 10},
            SURROGATE,
            keys=PV_KEYS,
        ),
        st.just(SURROGATE),
    ).filter(lambda text: '"echo"' not in text)


def _trend(drawn: Mapping[str, str]) -> None:
    _question(make_mocked_request("GET", f"/hist?{urlencode(drawn)}"), 1000, 20_000)


# Native services ------------------------------------------------------------------------------------------------------


class _Transport:
    """Takes what a connection says."""

    def __init__(self) -> None:
        self.said = b""
        self.is_over = False

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)

    def write(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self.is_over = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_over

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None: ...

    resume_reading = pause_reading


class _Commands:
    """Understands words and does nothing."""

    class parameters:
        logs_commands = False

    def line(self, line: str) -> str:
        try:
            return reply.ok([word.whole for word in split_words(line)])
        except BadValueError as error:
            return reply.error(error)


class _Owner:
    def gone(self, connection: Any) -> None: ...

    end_server = gone


def _azcam(pieces: Iterable[bytes]) -> None:
    async def talk() -> None:
        transport: Any = _Transport()
        connection = Connection(_Owner(), _Commands(), AzcamSettings(token="x" * 20))  # type: ignore[arg-type]
        connection._transport = transport
        for piece in pieces:
            connection.data_received(piece)
        connection.eof_received()

    wait(talk())


def _azcam_values(text: str) -> None:
    kinds = (argument.literal, argument.mapping, argument.items(argument.number), argument.items(argument.whole))
    for kind in (argument.number, argument.whole, argument.flag, argument.text, argument.anything, *kinds):
        try:
            kind(text, "value")
        except BadValueError:
            continue


def _alpaca(text: str) -> None:
    for kind in (alpaca_member.whole, alpaca_member.number, alpaca_member.truth):
        try:
            kind(text)
        except alpaca_member.BadRequest:
            continue
    try:
        assert 0 <= alpaca_call._number("ClientID", text) <= alpaca_call.MOST_NUMBER
    except alpaca_member.BadRequest:
        return


def _ingest(pieces: Sequence[bytes]) -> None:
    inbox = Inbox()
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                room = inbox.writable()[: len(rest)]
                room[:] = rest[: len(room)]
                inbox.wrote(len(room))
                rest = rest[len(room) :]
                if not inbox.lacks_body and (head := inbox.take_head()) is not None:
                    inbox.begin_body(memoryview(bytearray(min(head.length, 1000))))
                if not len(inbox.writable()):
                    return
    except RequestError as error:
        assert 400 <= error.status <= 505


def _leash(parts: list[bytes]) -> None:
    parse_request(parts, Gatekeeper(SECRET), Limits(request=4000, attachment=1000))


def leash_parts() -> st.SearchStrategy[list[bytes]]:
    """Signed requests with anything in them, and damaged ones."""

    def sign(drawn: object) -> bytes:
        return json.dumps(signed(SECRET, "stat", drawn if isinstance(drawn, dict) else {"data": drawn})).encode()

    one = st.one_of(values("data", "attachments").map(sign), messages(sign({})), json_texts().map(str.encode))
    return st.lists(one, min_size=1, max_size=3)


@cache
def receiver() -> AxisReceiver:
    async def start() -> AxisReceiver:
        made = AxisReceiver(FrameInlet(), AxisSettings(port=0, request_s=2.0, idle_s=2.0, connections=1000))
        await made.start()
        return made

    return wait(start())


def _axis(data: bytes) -> None:
    said(receiver().address[1], data, 0.05, ends=False)
    answer = said(receiver().address[1], b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 5.0, ends=False)
    assert answer.startswith(b"HTTP/1.1 405"), answer


FORM = (
    b"--sep\r\nContent-Disposition: form-data; name=i; filename=i.jpg\r\n"
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8x\r\n--sep--"
)
POST = (
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=sep\r\nContent-Length: %d\r\n\r\n"
    % len(FORM)
)


@cache
def automl() -> AutomlServer:
    async def made() -> AutomlServer:
        return AutomlServer(LoopSettings())

    return wait(made())


def _log(pieces: Sequence[bytes]) -> None:
    parser = Parser("x")
    for piece in pieces:
        list(parser.feed(piece))
    list(parser.finish())


def _upload() -> bytes:
    image = pb.PanoImage(type=1, shape=[32, 32], bytes_per_pixel=2, image_array=[7] * 1024, module_id=3, frame_number=5)
    image.header.update({"quabo_0": {"pkt_num": 1.0}, "quabo_num": 1.0})
    return pb.UploadImageRequest(pano_image=image).SerializeToString()


def _image() -> bytes:
    image = pb.PanoImage(type=1, shape=[2, 3], bytes_per_pixel=1, image_array=[7] * 6, module_id=3)
    image.header.update({"quabo_num": 1.0, "tv_sec": 5.0, "pkt_tai": 5.0})
    return pb.StreamImagesResponse(pano_image=image).SerializeToString()


NUMBER_KEYS = ("from", "to", "points", "pv", "x")
BOB = (
    '<?xml version="1.0"?><display version="2.0.0"><name>A</name><width>10</width><widget type="label" version="2.0.0">'
    "<name>B</name><text>&amp;</text><x>1</x></widget></display>"
)
DOCTYPE = '<!DOCTYPE a [<!ENTITY b "' + "x" * 50 + '">]><display version="2.0.0"><name>&b;</name></display>'

PUT = (
    b"PUT /sb03_IMG2026-11-21T03:12:04.215.npy HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Expect: 100-continue\r\n\r\nabcde"
)


def close() -> None:
    """End what was started."""
    if bench.cache_info().currsize:
        bench().server.stop()
    if pages.cache_info().currsize:
        wait(pages().close())


TARGETS = [
    Target("Channel Access circuits", "epics.circuit", messages(ca_conversation(), noise=300), _ca),
    Target(
        "Channel Access searches", "epics.ca", messages(ca_message(6, b"T\0", 5, 13, 1, 1) * 2, noise=300), _ca_search
    ),
    Target(
        "channel filters",
        "epics.filters",
        texts(
            '{"arr":{"s":1,"i":2,"e":-1}}',
            '{"dbnd":{"d":0.5,"m":"rel"}}',
            "[1:2:9]",
            '{"arr":{"s":Infinity}}',
            "{'dbnd':{abs:1e999}}",
            "[" * 3000,
        ),
        filter_of,
    ),
    Target(
        "Channel Access values",
        "epics.dbr",
        st.tuples(st.integers(-1, 40), st.lists(st.floats(), max_size=3), st.binary(max_size=30)),
        _dbr,
    ),
    Target(
        "Channel Access answers",
        "history.ca_messages",
        cut(messages(ca_message(18, b"", 6, 1, 1, 1) + ca_message(1, bytes(24), 20, 1, 1, 1), bytes(16) * 3)),
        lambda pieces: [list(decoder.feed(piece)) for decoder in [Decoder()] for piece in pieces],
        (ProtocolError,),
    ),
    Target(
        "pages: PVs (web-socket)", "web.pv_socket", page_messages(), lambda text: wait(pages().say(pages().pvs, text))
    ),
    Target(
        "pages: images (web-socket)",
        "web.image_socket",
        page_messages(),
        lambda text: wait(pages().say_to_images(text)),
    ),
    Target(
        "pages: arguments of calls", "web.typed", values("a", "b"), lambda value: query_of("c", value), (BadValueError,)
    ),
    Target(
        "pages: trends",
        "web.trends",
        st.dictionaries(
            st.sampled_from(NUMBER_KEYS),
            st.one_of(st.text(max_size=9), texts("1700000000", "9" * 5000, "٣")),
            max_size=4,
        ).map(lambda found: {"pv": "A", **found}),
        _trend,
        (DiptychError,),
    ),
    Target(
        "pages: questions to the log",
        "log.question",
        st.dictionaries(
            st.sampled_from(("count", "since", "until", "level", "pv", "x")),
            st.one_of(st.text(max_size=9), texts("1h", "2026-11-21 14:30", "9" * 5000, "٣", "1e999 s")),
            max_size=3,
        ),
        question_of,
        (DiptychError,),
    ),
    Target(
        "log files",
        "log.parser",
        cut(messages("2026-11-21 03:12:04,215 WARNING a: text\n  more\n", '{"time": 1, "pv": "A"}\n')),
        _log,
    ),
    Target("panels (.bob)", "panels.bob", texts(BOB, DOCTYPE, "<display>" * 500), from_xml, (ProtocolError,)),
    Target(
        "alarm formulas",
        "alarms.formula",
        texts("A:B > 3 and not (C:D == 'x' or 2*E < 1e3)", "(" * 500, "not " * 900, "-" * 900),
        formula.parse,
        (BadValueError,),
    ),
    Target(
        "image ingest: requests",
        "ingest.inbox",
        cut(messages(PUT * 2)),
        _ingest,
    ),
    Target("leash requests", "leash.request", leash_parts(), _leash, (ValueError, KeyError, NotAllowedError)),
    Target(
        "feeder announcements",
        "leash.feeder_link",
        st.one_of(
            json_texts({"command": "new file", "argument": "/a"}, keys=("command", "argument")).map(str.encode),
            st.binary(),
        ),
        lambda data: announced_path([data]),
        (BadValueError,),
    ),
    Target(
        "azcam lines",
        "azcam.connection",
        cut(messages(b"exposure.expose 1.0 'flat' \"a b\"\r\ntoken x\nregister a\n", b"echo x\n" * 40)),
        _azcam,
    ),
    Target(
        "azcam values",
        "azcam.argument",
        texts(
            "[1, 2, (3)]", "{'a': 1}", "1e999", "9" * 5000, "-" * 5000 + "1", "(" * 5000, "1" + "+1" * 9000, "[[" * 2000
        ),
        _azcam_values,
    ),
    Target(
        "Alpaca parameters",
        "alpaca.call",
        texts("12", "-3", "1.5", "True", "9" * 5000, "0" * 25 + "9" * 20, "٣", "1_0"),
        _alpaca,
    ),
    Target(
        "AutoML questions",
        "automl.server",
        json_texts(
            {"instances": [{"image_bytes": {"b64": "/9j/"}, "key": "a"}], "params": [{"max_bounding_box_count": "3"}]},
            keys=("instances", "params", "image_bytes", "b64", "key", "max_bounding_box_count"),
        ).map(str.encode),
        lambda data: automl()._answer(data),
        (_WrongQuestion,),
    ),
    Target("pictures by HTTP (forms)", "axis.receiver", messages(POST + FORM, POST + FORM * 2), _axis),
    Target(
        "DaqData uploads",
        "daqdata.wire",
        messages(_upload()),
        lambda data: decode_upload(data, 1),
        (BadValueError, ProtocolError),
    ),
    Target("DaqData images", "daqdata.decode", messages(_image()), decode_response, (BadValueError, ProtocolError)),
    Target(
        "dates of headers", "drivers.image_header", texts("2026-11-21T03:12:04", "1700000000.5", "9" * 400), parse_date
    ),
]
