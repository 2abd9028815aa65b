"""A Tango device with images, run as ``python image_devices.py``; it imports nothing of this project.

``Publish`` pushes what the request says, so that a test decides about every pixel.
"""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from typing import Any

import numpy as np
import tango
from PIL import Image
from tango import AttrQuality, EncodedAttribute, EnsureOmniThread
from tango.server import Device, attribute, command

TYPES = {
    "bool": "bool", "uint8": tango.DevUChar, "int16": "int16", "uint16": "uint16", "int32": "int32",
    "uint32": "uint32", "int64": "int64", "uint64": "uint64", "float32": "float32", "float64": "float64",
}  # fmt: skip
STAMP = 1_700_000_000.25  # s; the time that published frames carry
LARGE = (512, 640)  # rows, columns of uint16: 640 kB
SIZES = {**dict.fromkeys((f"frame_{name}" for name in TYPES), (40, 60)), "large": LARGE, "huge": (2048, 2048)}


def colour(rows: int, columns: int) -> np.ndarray:
    """Pixels (rows, columns, 3), none like another."""
    return (np.arange(rows * columns * 3) * 7 % 251).astype(np.uint8).reshape(rows, columns, 3)


class Camera(Device):
    def init_device(self) -> None:
        super().init_device()
        self._encoded: Any = ("", b"")
        self._mask = np.zeros(50_000)
        self._frames: dict[str, Any] = {}

    def initialize_dynamic_attributes(self) -> None:
        for name, (rows, columns) in SIZES.items():
            kind = TYPES.get(name.removeprefix("frame_"), "uint16")
            made = attribute(name=name, dtype=((kind,),), max_dim_x=columns, max_dim_y=rows, fget=self.last_frame)
            self.add_attribute(made)
        for name, (rows, columns) in {"rgb1": (4, 18), "rgb2": (4, 18), "rgb3": (12, 6)}.items():
            made = attribute(
                name=name, dtype=((tango.DevUChar,),), max_dim_x=columns, max_dim_y=rows, fget=self.last_frame
            )
            self.add_attribute(made)
        for name in (*SIZES, "rgb1", "rgb2", "rgb3", "encoded"):
            self.set_change_event(name, True, False)

    def last_frame(self, asked: Any) -> None:
        if asked.get_name() in self._frames:
            asked.set_value_date_quality(*self._frames[asked.get_name()])
        else:
            asked.set_quality(AttrQuality.ATTR_INVALID)

    def publish(self, name: str, *frame: Any) -> None:
        self._frames[name] = frame
        self.push_change_event(name, *frame)

    @attribute(dtype=tango.DevEncoded)
    def encoded(self) -> Any:
        return self._encoded

    @attribute(dtype=(float,), max_dim_x=50_000, access=tango.AttrWriteType.READ_WRITE)
    def mask(self) -> Any:
        return self._mask

    @mask.write
    def mask(self, mask: Any) -> None:
        if len(mask) == 13:
            tango.Except.throw_exception("RangeError", "a mask of 13 numbers brings bad luck", "mask")
        self._mask = np.asarray(mask)

    @attribute(dtype=float)
    def temperature(self) -> float:
        return 77.25

    @command(dtype_out=str)
    def describe(self) -> str:
        """Which of the images have colours, as a device of the model says it."""
        colours = [
            {"name": name.lower(), "type": "uint8", "shape": [], "colour": name, "mirror": True, "pv_name": None}
            for name in ("RGB1", "RGB2", "RGB3")
        ]
        return json.dumps({"format": 1, "pv_prefix": "CAM:", "attributes": colours, "commands": []})

    @command(dtype_in=str)
    def Publish(self, what: str) -> None:
        """Publish a frame: JSON of the attribute, rows, columns, and what else differs."""
        said = {"time": STAMP, "quality": "VALID", "first": 0} | json.loads(what)
        name, shape = said["name"], (said["rows"], said["columns"])
        kind = np.dtype({"bool": "?"}.get(name.removeprefix("frame_"), name.removeprefix("frame_")) if "frame" in name
                        else "uint8" if "rgb" in name else "uint16")  # fmt: skip
        frame = (np.arange(shape[0] * shape[1]) + said["first"]).astype(kind).reshape(shape)
        if kind.char == "?":
            frame = (np.arange(shape[0] * shape[1]) % 3 == 0).reshape(shape)
        self.publish(name, frame, said["time"], getattr(AttrQuality, f"ATTR_{said['quality']}"))

    @command(dtype_in=str)
    def PublishColour(self, layout: str) -> None:
        pixels = colour(4, 6)
        order = {"RGB1": (0, 1, 2), "RGB2": (0, 2, 1), "RGB3": (2, 0, 1)}[layout]
        flat = pixels.transpose(order).reshape((12, 6) if layout == "RGB3" else (4, 18))
        self.publish(layout.lower(), np.ascontiguousarray(flat), STAMP, AttrQuality.ATTR_VALID)

    @command(dtype_in=str)
    def Encode(self, how: str) -> None:
        """Publish an encoded image as PyTango or Pillow makes it, or bytes that are none."""
        pixels = colour(4, 6)
        jpeg = Image.fromarray(np.full((40, 64, 3), (200, 100, 50), np.uint8))
        encoder, buffer = EncodedAttribute(), io.BytesIO()
        if how == "GRAY8":
            encoder.encode_gray8(np.ascontiguousarray(pixels[:, :, 0]))
        elif how == "GRAY16":
            encoder.encode_gray16(pixels[:, :, 0].astype(np.uint16) * 257)
        elif how == "RGB24":
            encoder.encode_rgb24(pixels)
        elif how == "JPEG_GRAY8":
            encoder.encode_jpeg_gray8(np.full((40, 64), 100, np.uint8), quality=95.0)
        elif how == "JPEG_RGB":
            encoder.encode_jpeg_rgb24(np.full((40, 64, 3), (200, 100, 50), np.uint8), quality=95.0)
        elif how == "image/jpeg":
            jpeg.save(buffer, "JPEG", quality=95)
        elif how == "image/png":
            Image.fromarray(pixels).save(buffer, "PNG")
        elif how == "broken":
            jpeg.save(buffer, "JPEG")
            self._encoded = "JPEG_RGB", buffer.getvalue()[:200]
        elif how == "long":
            self._encoded = "RAW", bytes(5 << 20)
        else:
            self._encoded = how, b"0123456789"
        if buffer.getbuffer().nbytes and how != "broken":
            self._encoded = how, buffer.getvalue()
        made = encoder if how in ("GRAY8", "GRAY16", "RGB24", "JPEG_GRAY8", "JPEG_RGB") else None
        if made is None:
            self.push_change_event("encoded", *self._encoded, STAMP, AttrQuality.ATTR_VALID)
        else:
            self._encoded = made
            self.push_change_event("encoded", made)

    @command(dtype_in=str)
    def Flood(self, what: str) -> None:
        """Publish so many frames at a rate; the first pixel is the frame's number."""
        said = json.loads(what)

        def flood() -> None:
            with EnsureOmniThread():
                rows, columns = SIZES[said["name"]]
                frames = [np.zeros((rows, columns), np.uint16) for _ in range(2)]
                begun = time.perf_counter()
                for number in range(1, said["count"] + 1):
                    time.sleep(max(0.0, begun + number / said["rate"] - time.perf_counter()))
                    frame = frames[number % 2]
                    frame[0, 0] = number
                    self.push_change_event(said["name"], frame, time.time(), AttrQuality.ATTR_VALID)

        threading.Thread(target=flood, daemon=True).start()


if __name__ == "__main__":
    tango.server.run((Camera,), args=["ImageDevices", *sys.argv[1:]])
