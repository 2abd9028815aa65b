"""How long a client of a DAQ node decodes an image; the peer is the general way, protobuf's classes and JSON."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from google.protobuf.json_format import MessageToDict

from benchmarks.figure import Figure
from devices.daq.frame import Frame
from devices.drivers.pff import PRODUCTS, Stamp, encode_header
from servers.daqdata.daq_data_pb2 import StreamImagesResponse
from servers.daqdata.decode import decode_response, times
from servers.daqdata.wire import encode_response

FRAMES = 500
ROUNDS = 7
SECOND = 1721882086  # 2024-07-25T04:34:46Z


def run() -> list[Figure]:
    messages = {"img16": [], "ph256": []}
    generator = np.random.default_rng(1)
    for number in range(FRAMES):
        for name, found in messages.items():
            of = PRODUCTS[name]
            # As at night: most pixels of a movie near 200 counts, those of a pulse around 0.
            pixels = generator.poisson(200 if of.is_movie else 20, of.shape) - (0 if of.is_movie else 20)
            stamp = Stamp(number, (SECOND + 37) % 1024, number * 1_000_000 + 17, SECOND, number * 1000)
            header = encode_header([stamp] * 4) if of.has_quabos else encode_header([stamp], 2)
            frame = Frame(of, 1, 0, header, pixels.astype(of.dtype).tobytes(), f"start.dp_{name}.module_1.pff", number)
            found.append(encode_response(frame, "node"))
    return [
        Figure(
            f"DAQ client: decode an image of {name} (peer: protobuf, JSON)",
            _ms(decode_response, found),
            "ms",
            _ms(_generally, found),
            below=0.05,
        )
        for name, found in messages.items()
    ]


def _generally(data: bytes) -> None:
    image = StreamImagesResponse.FromString(data).pano_image
    found = MessageToDict(image, preserving_proto_field_name=True)
    found["header"].update(times(found["header"]))
    found["image_array"] = np.array(image.image_array).reshape(image.shape).astype(np.uint16)


def _ms(decode: Callable[[bytes], object], messages: list[bytes]) -> float:
    """Of the processor, the best of some rounds: other programs only ever make it longer."""
    decode(messages[0])
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for message in messages:
            decode(message)
        best = min(best, time.process_time() - began)
    return best / len(messages) * 1e3
