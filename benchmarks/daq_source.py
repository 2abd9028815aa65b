"""Frames at a fixed rate, by one of three ways; each bears in its first pixels when it was made, monotonic ns."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
import numpy as np
from google.protobuf.empty_pb2 import Empty

from devices.daq.frame import Frame
from devices.drivers.pff import MARK, PRODUCTS, Stamp, encode_header
from servers.daqdata import daq_data_pb2 as pb
from servers.daqdata.wire import encode_image

SIDE = 32
UPLOAD = "/daqdata.DaqData/UploadImages"


class Frames:
    """Frames of some modules in turn."""

    def __init__(self, modules: int, rate_hz: float, seconds: float) -> None:
        self.modules, self._step, self.count = modules, 1.0 / (modules * rate_hz), round(modules * rate_hz * seconds)
        self._pixels = np.random.default_rng(2).poisson(200, (SIDE, SIDE)).astype("<u2").reshape(-1)

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        due = time.monotonic()
        for number in range(self.count):
            due += self._step
            if (wait := due - time.monotonic()) > 0.0:
                time.sleep(wait)
            now, second = time.time(), int(time.time())
            stamp = Stamp(number % 65536, (second + 37) % 1024, int((now - second) * 1e9), second, 0)
            self._pixels[:4] = np.array([time.monotonic_ns()], "<i8").view("<u2")
            yield 1 + number % self.modules, encode_header([stamp] * 4), self._pixels.tobytes()


def made_ns(pixels: Iterable[int]) -> int:
    """When the frame was made, monotonic ns, as its first pixels say."""
    return sum(int(pixel) << 16 * place for place, pixel in zip(range(4), pixels, strict=False))


def by_socket(folder: Path, frames: Frames) -> None:
    with socket.socket(socket.AF_UNIX) as sender:
        sender.connect(f"{folder}/frames_img16.sock")
        for module, header, pixels in frames:
            sender.sendall(module.to_bytes(2, "big") + header + MARK + pixels)


def by_file(folder: Path, frames: Frames) -> None:
    files = {}
    for module in range(1, frames.modules + 1):
        started = f"2026-11-21T00:00:{time.time_ns() % 60:02d}Z"
        run = folder / "data" / f"module_{module}" / f"obs_B.start_{started}.runtype_b.pffd"
        run.mkdir(parents=True, exist_ok=True)
        name = f"start_{time.time_ns()}.dp_img16.bpp_2.module_{module}.seqno_0.pff"
        files[module] = (run / name).open("wb", buffering=0)
    time.sleep(1.0)  # the new folders are watched
    for module, header, pixels in frames:
        files[module].write(header + MARK + pixels)
    for file in files.values():
        file.close()


def by_upload(folder: Path, frames: Frames) -> None:
    product = PRODUCTS["img16"]

    def requests() -> Iterator[pb.UploadImageRequest]:
        for number, (module, header, pixels) in enumerate(frames, 1):
            image = encode_image(Frame(product, module, 0, header, pixels, "upload", number))
            yield pb.UploadImageRequest(pano_image=pb.PanoImage.FromString(image))

    with grpc.insecure_channel(f"unix://{folder}/daq.sock") as channel:
        channel.stream_unary(UPLOAD, pb.UploadImageRequest.SerializeToString, Empty.FromString)(requests())


def main() -> None:
    """Told the way, the folder, modules, rate and seconds; prints how many frames there were when it is through."""
    way, folder = sys.argv[1], Path(sys.argv[2])
    frames = Frames(int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
    {"socket": by_socket, "file": by_file, "upload": by_upload}[way](folder, frames)
    print(json.dumps({"frames": frames.count}), flush=True)


if __name__ == "__main__":
    main()
