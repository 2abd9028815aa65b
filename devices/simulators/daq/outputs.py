"""Where a recorder brings its frames: files that grow in bursts, with or without a status pipe, and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from devices.drivers.observing_run import time_text
from devices.drivers.pff import Product
from devices.drivers.pff_file import PffName, file_name
from devices.simulators.daq.settings import DaqSettings
from devices.simulators.daq.stream import ModuleFrame

MESSAGE_BYTES: Final = 10
RETRY_SECONDS: Final = 0.5
PULSE_HEIGHT_BURST: Final = 4096  # the recorder's buffer for ph256


class Output(Protocol):
    """Takes the frames of the simulation."""

    async def take(self, frames: Sequence[ModuleFrame]) -> None: ...

    def close(self) -> None: ...


class Files:
    """Files of a run for each module and data product: ``module_ID/RUN/start_TIME.dp_NAME...seqno_N.pff``."""

    def __init__(self, settings: DaqSettings) -> None:
        self._settings = settings
        self._open: dict[tuple[int, str], _Rolling] = {}
        self._markers = []
        for module in settings.modules:
            folder = self.folder(module)
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                if PffName.parse(path.name) is not None:
                    path.unlink()
            marker = folder / settings.active_file.replace("{module_id}", str(module))
            marker.touch()
            self._markers.append(marker)

    def folder(self, module: int) -> Path:
        return Path(self._settings.data_dir) / f"module_{module}" / self._settings.run

    async def take(self, frames: Sequence[ModuleFrame]) -> None:
        self.write(frames)

    def write(self, frames: Sequence[ModuleFrame]) -> None:
        for module, frame in frames:
            of = frame.product
            file = self._open.get((module, of.name))
            if file is None:
                file = self._open[module, of.name] = _Rolling(self.folder(module), of, module, self._settings)
            file.write(frame.bytes)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        for marker in self._markers:
            marker.unlink(missing_ok=True)


class _Rolling:
    """The file of a data product; when it is large enough, the next one."""

    def __init__(self, folder: Path, of: Product, module: int, settings: DaqSettings) -> None:
        self._folder, self._of, self._module, self._settings = folder, of, module, settings
        self._seqno = -1
        self._size = self._count = 0
        self._names: deque[Path] = deque()
        self._file = self._next()

    def write(self, frame: bytes) -> None:
        most = self._settings.frames_per_file
        if self._size > self._settings.max_file_mb * 1e6 or (most and self._count >= most):
            self._file.close()
            self._file = self._next()
        self._file.write(frame)
        self._size += len(frame)
        self._count += 1

    def close(self) -> None:
        self._file.close()

    def _next(self) -> BinaryIO:
        self._seqno += 1
        self._size = self._count = 0
        started = time_text(datetime.fromtimestamp(time.time(), UTC))
        path = self._folder / file_name(self._of, self._module, self._seqno, started)
        self._names.append(path)
        if len(self._names) > self._settings.keep_files:
            self._names.popleft().unlink(missing_ok=True)
        burst = self._settings.burst_bytes
        return path.open("wb", min(burst, PULSE_HEIGHT_BURST) if self._of.name == "ph256" else burst)


class FilesWithPipe:
    """The same, and a message in the FIFO of the run when files have grown."""

    def __init__(self, settings: DaqSettings) -> None:
        self._files = Files(replace(settings, burst_bytes=0))  # what is told of has to be there
        self._paths = {module: self._files.folder(module) / settings.pipe_name for module in settings.modules}
        self._ends: dict[int, int] = {}
        for path in self._paths.values():
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path, 0o600)

    async def take(self, frames: Sequence[ModuleFrame]) -> None:
        self._files.write(frames)
        for module, name in dict.fromkeys((module, frame.product.name) for module, frame in frames):
            self._tell(module, name)

    def close(self) -> None:
        self._files.close()
        for end in self._ends.values():
            os.close(end)
        for path in self._paths.values():
            path.unlink(missing_ok=True)

    def _tell(self, module: int, name: str) -> None:
        end = self._ends.get(module)
        try:
            if end is None:
                end = self._ends[module] = os.open(self._paths[module], os.O_WRONLY | os.O_NONBLOCK)
            os.write(end, name.ljust(MESSAGE_BYTES).encode())
        except BlockingIOError:  # full: whoever reads it is told enough
            return
        except OSError:  # nobody reads it
            if end is not None:
                os.close(self._ends.pop(module))


class Sockets:
    """A connection for each data product to the sockets of a node; what comes while there is none is lost.

    Attributes:
        lost: frames.
    """

    def __init__(self, settings: DaqSettings) -> None:
        self._template = settings.socket_path_template
        self._links: dict[str, socket.socket] = {}
        self._tried: dict[str, float] = {}
        self.lost = 0

    async def take(self, frames: Sequence[ModuleFrame]) -> None:
        for name in dict.fromkeys(frame.product.name for _, frame in frames):
            messages = [
                module.to_bytes(2, "big") + frame.bytes for module, frame in frames if frame.product.name == name
            ]
            link = self._links.get(name) or self._connect(name)
            if link is None:
                self.lost += len(messages)
                continue
            try:
                await asyncio.get_running_loop().sock_sendall(link, b"".join(messages))
            except OSError:  # the node has gone
                self.lost += len(messages)
                self._links.pop(name).close()

    def close(self) -> None:
        for link in self._links.values():
            link.close()

    def _connect(self, name: str) -> socket.socket | None:
        if time.monotonic() - self._tried.get(name, -RETRY_SECONDS) < RETRY_SECONDS:
            return None
        self._tried[name] = time.monotonic()
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.setblocking(False)
        try:
            link.connect(self._template.replace("{dp_name}", name))  # a socket of this machine never makes one wait
        except OSError:
            link.close()
            return None
        self._links[name] = link
        return link


def output_of(settings: DaqSettings) -> Output:
    """Where the frames of a mode go."""
    kinds: dict[str, Callable[[DaqSettings], Output]] = {"filesystem": Files, "pipe": FilesWithPipe, "uds": Sockets}
    return kinds[settings.mode](settings)
