"""What instruments send, or something in their place."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from devices.ccd.detector_setup import read_setup
from devices.core.errors import BadValueError, ConfigurationError, DiptychError, ProtocolError
from devices.core.interface import Interface
from devices.dcss.gui_model import DcssModel
from devices.dcss.loop_picture import unpack
from devices.drivers import (
    alpaca_discovery,
    archon_config,
    archon_status,
    cryocon_protocol,
    image_bytes,
    lx200_text,
    quabo,
    tcl_list,
)
from devices.drivers.alpaca import _from_json
from devices.drivers.archon_replies import BLOCK, BlockSink, ReplyReader
from devices.drivers.automl_message import detections_of
from devices.drivers.correlator_message import MessageName
from devices.drivers.correlator_npy import ArrayError, BodyFormat, array_of, npy_header
from devices.drivers.dcs_record import WireLine
from devices.drivers.pff import PRODUCTS, Splitter, Stamp, encode_header, parse_header, stamps
from devices.drivers.samp import file_of_url
from devices.drivers.send_image_header import SendImageHeader
from devices.drivers.xos import XosDecoder, encode_frame, encode_login
from tests.fuzz.mutation import cut, damaged, json_texts, messages, texts, values
from tests.fuzz.target import Target

PIXELS = np.arange(6, dtype=np.int32).reshape(2, 3)
FORMAT = BodyFormat(3, 2, 4, 128)
MOVIE = PRODUCTS["img16"]
STAMP = Stamp(1, 1234, 56789, 1721882086, 123456)
DCSS = (
    "stog_configure_real_motor table_vert dhs tv 1.0 10 -10 1000 1 1 0 0 0 0 0 0 0",
    "stog_configure_hardware_host dhs host online",
    "stog_configure_shutter shutter dhs open",
    "stog_configure_string text dhs {a b} c",
    "stog_motor_move_completed table_vert 2.5 normal",
    "stog_report_ion_chambers 1.0 i0 10 i1 20",
    "stog_operation_completed centerLoop 1.5 normal {0.1 0.2}",
    "stog_set_string_completed text normal a b",
)


def _xos(pieces: Iterable[bytes]) -> None:
    for first, protocol in ((1, 0), (0, 0), (1, 2)):
        decoder = XosDecoder(first=first, protocol=protocol)
        try:
            for piece in pieces:
                decoder.feed(piece)
        except ProtocolError:
            continue


def _archon(pieces: Iterable[bytes]) -> None:
    reader = ReplyReader(lambda reference, refused, text: None, lambda sink: None)
    reader.sinks[2] = BlockSink(2, np.zeros(4 * BLOCK, np.uint8))
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            room = reader.room()[: len(rest)]
            room[:] = rest[: len(room)]
            reader.received(len(room))
            rest = rest[len(room) :]


def _archon_texts(text: str) -> None:
    for parse in (archon_status.parse_status, archon_status.parse_system, archon_status.parse_frame):
        try:
            parse(text)
        except ProtocolError:
            continue


def _archon_configuration(text: str) -> None:
    found = archon_config.parse_configuration(text)
    assert isinstance(found.parameters, dict)
    assert len(found.taps) <= len(found)
    assert found.frame_mode in tuple(archon_config.FrameMode)


def _cryocon(text: str) -> None:
    codecs = [
        cryocon_protocol.number(0.0, 300.0, "K"),
        cryocon_protocol.integer([1, 2, 3]),
        cryocon_protocol.switch(),
        cryocon_protocol.string(),
    ]
    for codec in codecs:
        found = cryocon_protocol.answer("TEMP A", text, codec.parse)
        if found.valid:
            found.get()
    cryocon_protocol.split_answers(text)


def _coordinates(text: str) -> None:
    for parse in (lx200_text.parse_hours, lx200_text.parse_degrees):
        try:
            assert abs(parse(text)) <= 360.0
        except ProtocolError:
            continue


def _pff(pieces: Iterable[bytes]) -> None:
    splitter = Splitter(MOVIE)
    for piece in pieces:
        for frame in splitter.feed(piece):
            assert frame.image.shape == MOVIE.shape
            try:
                stamps(frame.fields)
            except ProtocolError:
                continue


def _frame() -> bytes:
    header = encode_header([STAMP] * 4)
    return header + b"*" + bytes(MOVIE.image_bytes)


def _discovery(data: bytes) -> None:
    listener = alpaca_discovery._Listener()
    listener.datagram_received(data, ("127.0.0.1", 32227))
    assert all(0 < port < 65536 for _, port in listener.found)


def _dcss(said: list[str]) -> None:
    model = DcssModel(lambda device: None, lambda handle, text: None)
    for text in said:
        model.take(text)
    assert callable(model.take)
    assert isinstance(model.devices, dict)
    model.rows()


def _automl(text: str) -> None:
    for found in detections_of(json.loads(text), "a"):
        assert math.isfinite(found.score)


def _npy() -> bytes:
    array = np.zeros((3, 3, 2), "<f4")
    return npy_header(array) + array.tobytes()


def _answers(*names: str) -> list[str]:
    """Messages of DCSS with every word that Python gives a meaning, too."""
    return [f"stog_{name} a b c" for name in names] + [f"stog_{name}" for name in names]


DETECTION: dict[str, object] = {
    "key": "a",
    "num_detections": 1,
    "detection_boxes": [[0.1, 0.2, 0.3, 0.4]],
    "detection_scores": [0.9],
    "detection_classes_as_text": ["nylon"],
}
PICTURE = {
    "ErrorNumber": 0,
    "ErrorMessage": "",
    "ClientTransactionID": 1,
    "Type": 2,
    "Rank": 2,
    "Value": [[1, 2], [3, 4]],
}
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4z"
    "NDL/wAALCAACAAIBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAFRABAQAAAAAAAAAAAAAAAAAAAAH/2gAIAQEAAD8AP//Z"
)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGNgYGD4DwABBAEAfbLI3wAAAABJRU5ErkJggg=="
)
INTERFACE = {"format": 1, "name": "a/b/1", "class": "T", "attributes": [], "commands": []}


def _json_of(data: Any, key: str = "x") -> None:
    json.dumps({key: data})


TARGETS = [
    Target(
        "DCSS frames (xos)",
        "drivers.xos",
        cut(messages(encode_login("stoc_send_client_type"), encode_frame("htos_a b", b"123"), encode_frame("x" * 250))),
        _xos,
    ),
    Target(
        "DCSS messages",
        "dcss.gui_model",
        st.lists(
            texts(*DCSS, *_answers("wait", "tell", "changed", "set", "over", "ends", "_class__", "_init__", "_dict__")),
            max_size=4,
        ),
        _dcss,
    ),
    Target(
        "DCSS record",
        "drivers.dcs_record",
        json_texts({"time": 1.0, "name": "a", "direction": "in", "text": "x"}),
        WireLine.of_json,
        (BadValueError,),
    ),
    Target(
        "Tcl lists",
        "drivers.tcl_list",
        texts('a {b c} {} "d e" \\x41\\u20ac', "{" * 300, "\\" * 99, noise=500),
        tcl_list.split,
        (BadValueError,),
    ),
    Target(
        "Archon replies",
        "drivers.archon_replies",
        cut(messages(b"<01POWER=4 VALID=1\n", b"?02\n", b"<02:" + bytes(BLOCK) + b"<03TIMER=AF\n")),
        _archon,
        (ProtocolError,),
    ),
    Target(
        "Archon status",
        "drivers.archon_status",
        texts(
            "VALID=1 COUNT=3 POWER=4 POWERGOOD=1 MOD1_TYPE=2 TIMER=FF RBUF=1 WBUF=2 BUF1FRAME=3 BUF1SAMPLE=0 "
            "BUF1COMPLETE=1 BUF1BASE=0 BUF1WIDTH=10 BUF1HEIGHT=20 BACKPLANE_TYPE=1"
        ),
        _archon_texts,
    ),
    Target(
        "Archon configuration",
        "drivers.archon_config",
        texts(
            '[SYSTEM]\nBACKPLANE_TYPE=1\n[CONFIG]\nLINECOUNT=10\nPARAMETER0="Exposures=0"\nTAPLINES=1\n'
            'TAPLINE0="AD1L,1.0,0"\nFRAMEMODE=2\n'
        ),
        _archon_configuration,
        (DiptychError,),
    ),
    Target(
        "CryoCon answers",
        "drivers.cryocon_protocol",
        texts("77.350K", "NACK", "......", "N/A", "1;2;ON", "1e5"),
        _cryocon,
    ),
    Target(
        "LX200 coordinates",
        "drivers.lx200_text",
        texts("12:34:56", "12:34.5", "+45*30:15", "-00*12", "s45\xdf30"),
        _coordinates,
    ),
    Target(
        "Alpaca ImageBytes",
        "drivers.image_bytes",
        messages(bytes(image_bytes.encode(PIXELS, 1, 2))),
        image_bytes.decode,
        (DiptychError,),
    ),
    Target(
        "Alpaca pictures (JSON)",
        "drivers.alpaca",
        json_texts(PICTURE, keys=tuple(PICTURE)).map(str.encode),
        lambda data: _from_json(data, "camera"),
        (DiptychError,),
    ),
    Target(
        "Alpaca discovery",
        "drivers.alpaca_discovery",
        st.one_of(
            messages('{"AlpacaPort": 11111}'), json_texts({"AlpacaPort": 1}, keys=("AlpacaPort",)).map(str.encode)
        ),
        _discovery,
    ),
    Target(
        "AutoML answers",
        "drivers.automl_message",
        st.one_of(
            json_texts({"predictions": [DETECTION]}, keys=("predictions", *DETECTION)),
            values(*DETECTION).map(lambda value: json.dumps({"predictions": [DETECTION | {"num_detections": value}]})),
            values(*DETECTION).map(
                lambda value: json.dumps({"predictions": [DETECTION | {"detection_scores": [value]}]})
            ),
            values(*DETECTION).map(
                lambda value: json.dumps({"predictions": [DETECTION | {"detection_boxes": [value]}]})
            ),
        ),
        _automl,
        (ProtocolError, ValueError, RecursionError),
    ),  # the latter of json itself
    Target("pictures (JPEG, PNG)", "dcss.loop_picture", messages(JPEG, PNG), unpack, (BadValueError,)),
    Target(
        "image ingest: names",
        "drivers.correlator_message",
        texts(
            "/sb03_IMG2026-11-21T03:12:04.215.npy",
            "/sb03_IMG2026-11-21T03:12:04.215_UV0000000000e07740_DE0000000000e05140.npy",
        ),
        MessageName.parse,
        (BadValueError,),
    ),
    Target(
        "image ingest: arrays",
        "drivers.correlator_npy",
        messages(_npy()),
        lambda data: array_of(memoryview(data), FORMAT).sum(),
        (ArrayError,),
    ),
    Target("PFF frames", "drivers.pff", cut(damaged([_frame() * 2])), _pff),
    Target(
        "PFF headers",
        "drivers.pff",
        messages(encode_header([STAMP] * 4)),
        lambda data: stamps(parse_header(data)),
        (ProtocolError,),
    ),
    Target(
        "quabo packets",
        "drivers.quabo",
        messages(bytes([1]) + bytes(15) + bytes(512), bytes([6]) + bytes(15) + bytes(256), noise=600),
        quabo.decode_packet,
        (ProtocolError,),
    ),
    Target(
        "send image",
        "drivers.send_image_header",
        messages(b"10 image.fits 0 4096 1 1 1 1 0 0".ljust(256)).map(lambda data: data.ljust(256)[:256]),
        SendImageHeader.decode,
        (ProtocolError,),
    ),
    Target(
        "SAMP addresses",
        "drivers.samp",
        texts("file:///tmp/a.fits", "file://localhost/a%00b", "http://x/"),
        file_of_url,
        (BadValueError,),
    ),
    Target(
        "detector (property)",
        "ccd.detector_setup",
        json_texts(
            {"name": "x", "visible_columns": 10, "visible_rows": 20}, keys=("name", "visible_columns", "amps")
        ).filter(lambda text: text.lstrip().startswith("{")),
        read_setup,
        (ValueError,),
    ),
    Target(
        "descriptions of devices",
        "core.interface",
        json_texts(INTERFACE, keys=tuple(INTERFACE)),
        Interface.from_json,
        (ConfigurationError, DiptychError),
    ),
]
