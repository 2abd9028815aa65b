"""A CCD camera in a script or a sequencer: exposures that return when their file is there, over Tango.

with CcdClient("tango://127.0.0.1:10000/ccd/1/exposure") as camera:
    image = camera.expose(2.0, "flat", "a 450 nm flat field image")
    print(image.file, image.number)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import tango

from devices.core import errors
from devices.core.operation_error import operation_error

#: How often an operation is asked after, s.
PERIOD: Final = 0.05
#: Called with the per cent and what the camera does.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TakenImage:
    """What became of an exposure.

    Attributes:
        file: where it was written; "" when images are not saved. number: of its name.
        exposure_time: s, as the controller measured it.
        problems: what went wrong and did not cost the image.
    """

    file: str
    number: int
    exposure_time: float
    image_type: str
    problems: tuple[str, ...]


class CcdClient:
    """The exposure device of a camera.

    Errors are those of `devices.core.errors`, as the camera raised them: BusyError while another exposure runs,
    RangeError for a wrong argument, AbortedError when somebody aborted it, NotConnectedError when it cannot be reached.
    """

    def __init__(self, device: str = "ccd/1/exposure") -> None:
        """Connect.

        Args:
            device: its name in the database of TANGO_HOST, or a full one, ``tango://HOST:PORT/ccd/1/exposure``.
        """
        with _meanings():
            self._proxy = tango.DeviceProxy(device)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the camera; what it does goes on."""
        del self._proxy

    def expose(
        self,
        seconds: float = -1.0,
        image_type: str = "",
        title: str = "",
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> TakenImage:
        """Take an image and wait for its file; what is left out is as it is set.

        Args:
            timeout: s; the exposure goes on when it is over.
        Raises:
            TimeoutError: it is. DiptychError: why there is no file.
        """
        return _image(self.run("expose", timeout, progress, seconds=seconds, image_type=image_type, title=title))

    def test(self, seconds: float = -1.0, open_shutter: bool = False, *, timeout: float | None = None) -> TakenImage:
        """Take a test image."""
        return _image(self.run("test", timeout, None, seconds=seconds, open_shutter=open_shutter))

    def sequence(
        self,
        count: int = -1,
        flush: int = -1,
        delay: float = -1.0,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """Take several images; their files. ``stop_sequence`` ends it after an image."""
        files = self.run("sequence", timeout, progress, count=count, flush=flush, delay=delay)["files"]
        return [str(each) for each in files]

    def run(self, operation: str, timeout: float | None = None, progress: Progress | None = None, **words: Any) -> Any:
        """Run any operation to its end; its result."""
        return self.wait(self.start(operation, **words), timeout, progress)

    def start(self, operation: str, **words: Any) -> str:
        """Start any operation; its id."""
        return str(self.call(operation, **words))

    def wait(self, identity: str, timeout: float | None = None, progress: Progress | None = None) -> Any:
        """Wait for the end of an operation, whoever started it; its result."""
        deadline = None if timeout is None else time.monotonic() + timeout
        shown: tuple[float, str] | None = None
        while True:
            found = json.loads(self.call("operation_status", identity))
            now = float(found["progress"]), str(found["message"])
            if progress is not None and shown != now:
                shown = now
                progress(*now)
            if found["state"] == "DONE":
                return found["result"]
            if found["state"] in ("FAILED", "ABORTED"):
                raise operation_error(found["error"])
            if deadline is not None and time.monotonic() > deadline:
                raise errors.TimeoutError(f"{found['name']} did not end within {timeout:g} s; it goes on")
            time.sleep(PERIOD)

    def call(self, command: str, *value: Any, **words: Any) -> Any:
        """Run any command: one argument as it is, several by name."""
        with _meanings():
            if words and self._proxy.get_command_config(command).in_type is tango.DevString:
                return self._proxy.command_inout(command, json.dumps(words))
            return self._proxy.command_inout(command, *value, *words.values())

    def abort(self) -> None:
        """End whatever runs, at once; the camera is idle then."""
        self.call("abort", "")

    def pause(self) -> None:
        """Pause the integration."""
        self.call("pause")

    def resume(self) -> None:
        """Go on."""
        self.call("resume")

    def start_readout(self) -> None:
        """End the integration now and read out."""
        self.call("start_readout")

    def stop_sequence(self) -> None:
        """End a sequence, or guiding, after the present image."""
        self.call("stop_sequence")

    def set_roi(self, **words: int) -> None:
        """Set the window: first_col, last_col, first_row, last_row, col_bin, row_bin."""
        self.call("set_roi", **words)

    def get(self, attribute: str) -> Any:
        """The value of an attribute; enumerations as their labels."""
        with _meanings():
            value = self._proxy.read_attribute(attribute).value
            labels = self._proxy.get_attribute_config(attribute).enum_labels
        return labels[value] if len(labels) and isinstance(value, int) else value

    def put(self, attribute: str, value: Any) -> None:
        """Put a value into an attribute; labels of enumerations are fine."""
        with _meanings():
            labels = list(self._proxy.get_attribute_config(attribute).enum_labels)
            self._proxy.write_attribute(attribute, labels.index(value) if value in labels else value)

    def state(self) -> str:
        """The device's State, ON or RUNNING, say."""
        with _meanings():
            return str(self._proxy.state())

    def properties(self, names: Iterable[str]) -> dict[str, str]:
        """The first lines of properties in the database; "" for one that is not set there."""
        with _meanings():
            found = self._proxy.get_property(list(names))
        return {name: next(iter(lines), "") for name, lines in found.items()}

    def status(self) -> dict[str, Any]:
        """What the camera does: state, what is left, the next file, the last one."""
        names = ("exposure_state", "exposure_time_remaining", "pixels_remaining", "progress", "filename")
        return {name: self.get(name) for name in (*names, "last_filename", "last_error", "operation_id")}


def _image(result: dict[str, Any]) -> TakenImage:
    return TakenImage(
        result["file"], result["number"], result["exposure_time"], result["image_type"], tuple(result["problems"])
    )


@contextmanager
def _meanings() -> Iterator[None]:
    """Errors of Tango as those that the camera raised."""
    try:
        yield
    except (tango.ConnectionFailed, tango.CommunicationFailed) as failed:
        raise errors.NotConnectedError(failed.args[0].desc.strip()) from failed
    except tango.DevFailed as failed:
        first = failed.args[0]
        raise operation_error(f"{first.reason}: {first.desc.strip()}") from failed
