"""What ``diptych daq`` does with PFF files: says what is in them, prints frames, writes other formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from devices.core.errors import RangeError
from devices.drivers.pff import QUABOS
from devices.drivers.pff_export import export, iso
from devices.drivers.pff_file import PffFile
from devices.drivers.pff_table import StampTable


def info(path: Path) -> Iterator[str]:
    """What a file holds, a line each."""
    with PffFile(path) as file:
        with _progress(path.name, len(file)) as advance:
            table = StampTable.read(file, advance)
        rows, columns = file.product.shape
        yield f"{path}"
        yield f"  product     {file.product.name}, {rows} x {columns} pixels, {np.dtype(file.product.dtype).name}"
        if file.name is not None:
            yield f"  module      {file.name.module}, file {file.name.seqno} of its run"
        yield f"  frames      {len(file)}"
        if not len(file):
            return
        yield f"  time        {iso(int(table.time_ns.min()))} to {iso(int(table.time_ns.max()))} UTC"
        yield f"  span        {table.span_s:.6f} s, {table.rate:.3f} frames/s"
        counts = ", ".join(f"{quabo}: {count}" for quabo, count in zip(range(QUABOS), table.frames_of, strict=True))
        yield f"  quabos      {counts}"
        yield f"  desync      {table.desynced} frames without a White Rabbit time"
        yield f"  steps back  {table.steps_back}"
        images = file.images()
        yield f"  pixels      {images.min()} to {images.max()}, mean {images.mean():.2f}"


def cat(path: Path, first: int, count: int | None, *, pixels: bool) -> Iterator[str]:
    """Frames as JSON, a line each: number, time, header, and pixels when they are wanted.

    Raises:
        RangeError: there is no such first frame.
    """
    with PffFile(path) as file:
        if not -len(file) <= first < max(len(file), 1):
            raise RangeError(f"--frame = {first} is outside [0, {len(file) - 1}] of {path.name}")
        first %= max(len(file), 1)
        last = len(file) if count is None else min(first + count, len(file))
        for index in range(first, last):
            found = {"frame": index, "time": iso(file.time_ns(index)), "header": file.header(index)}
            if pixels:
                found["image"] = file[index].image.tolist()
            yield json.dumps(found)


def convert(path: Path, output: Path) -> str:
    """Write a file as FITS or HDF5; what was done."""
    with PffFile(path) as file:
        with _progress(path.name, len(file)) as advance:
            export(file, output, advance)
        return f"{output}: {len(file)} frames of {path.name}"


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=total)

        def advance(frames: int) -> None:
            progress.update(task, completed=frames)

        yield advance
