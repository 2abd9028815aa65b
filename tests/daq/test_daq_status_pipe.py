"""Frames of which the recorder tells through a FIFO."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frames import Published, raw_frame, running, until

from devices.daq.sources.status_pipe import StatusPipe
from devices.drivers.observing_run import STATUS_PIPE
from devices.drivers.pff import product
from devices.drivers.pff_file import file_name

RUN = "obs_Lick.start_2024-07-25T04:34:06Z.runtype_sci-data.pffd"
NEXT_RUN = "obs_Lick.start_2024-07-25T05:00:00Z.runtype_sci-data.pffd"


class Recorder:
    """A run that is written: files first, then a message."""

    def __init__(self, data: Path, module: int = 3, run: str = RUN, with_pipe: bool = True) -> None:
        self.module, self.run = module, data / f"module_{module}" / run
        self.run.mkdir(parents=True)
        if with_pipe:
            os.mkfifo(self.run / STATUS_PIPE)

    def append(self, *indexes: int, name: str = "img16", seqno: int = 0) -> None:
        path = self.run / file_name(product(name), self.module, seqno, "2024-07-25T04:34:46Z")
        with path.open("ab") as file:
            file.write(b"".join(raw_frame(index, name).bytes for index in indexes))

    @contextmanager
    def telling(self) -> Iterator[int]:
        """The end of the FIFO into which one writes; fails when nobody reads it."""
        end = os.open(self.run / STATUS_PIPE, os.O_WRONLY | os.O_NONBLOCK)
        try:
            yield end
        finally:
            os.close(end)

    def tell(self, name: str = "img16") -> None:
        with self.telling() as end:
            os.write(end, name.ljust(10).encode())


def test_all_that_was_written_since_the_last_message_comes(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.append(0, 1)

    async def work() -> None:
        published = Published()
        async with running(StatusPipe(published, tmp_path)) as source:
            recorder.append(2, 3, 4)
            recorder.append(5, seqno=1)
            recorder.append(6, name="ph256")
            recorder.tell()
            frames = await published.count(4)
            assert [(frame.number, frame.fields["quabo_0"]["pkt_num"]) for frame in frames] == [
                (2, 2),
                (3, 3),
                (4, 4),
                (0, 5),
            ]
            recorder.tell("ph256")
            await published.count(5)
            assert published.frames[4].product.name == "ph256"
            assert (source.problem, source.skipped_bytes) == ("", 0)

    asyncio.run(work())


def test_writers_come_and_go_and_silence_costs_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def work() -> None:
        published = Published()
        async with running(StatusPipe(published, tmp_path)):
            for index in range(3):
                recorder.append(index)
                recorder.tell()  # opens and closes it
                await published.count(index + 1)
            before, until_then = time.process_time(), time.monotonic() + 1.5
            await until(lambda: time.monotonic() > until_then)
            # `until` itself looks 500 times a second; a loop that is always busy takes all of it.
            assert time.process_time() - before < 0.75
            recorder.append(3)
            recorder.tell()
            await published.count(4)

    asyncio.run(work())


def test_messages_in_parts_several_at_once_and_noise(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def work() -> None:
        published = Published()
        async with running(StatusPipe(published, tmp_path)) as source:
            with recorder.telling() as end:
                recorder.append(0)
                recorder.append(1, name="ph1024")
                os.write(end, b"ph1024    img1")
                os.write(end, b"6     ")
                await published.count(2)
                recorder.append(2)
                os.write(end, b"??" + b"img16     ")
                await published.count(3)
                await until(lambda: source.skipped_bytes == 2)

    asyncio.run(work())


def test_the_pipe_of_the_next_run_is_found(tmp_path: Path) -> None:
    first = Recorder(tmp_path)

    async def work() -> None:
        published = Published()
        async with running(StatusPipe(published, tmp_path)):
            first.append(0)  # told to nobody: the next run begins
            second = Recorder(tmp_path, run=NEXT_RUN)
            third = Recorder(tmp_path, module=8)
            second.append(1)
            third.append(2)
            await published.count(3)
            second.append(3)
            second.tell()
            await published.count(4)
        assert sorted((frame.module, frame.fields["quabo_0"]["pkt_num"]) for frame in published.frames) == [
            (3, 0),
            (3, 1),
            (3, 3),
            (8, 2),
        ]

    asyncio.run(work())


def test_without_a_pipe_it_says_so_and_waits(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, with_pipe=False)

    async def work() -> None:
        published = Published()
        async with running(StatusPipe(published, tmp_path, modules=[3])) as source:
            assert source.problem == f"no run below {tmp_path} has a pipe {STATUS_PIPE}"
            Recorder(tmp_path, module=4)
            os.mkfifo(recorder.run / STATUS_PIPE)
            await until(lambda: not source.problem)
            recorder.append(0)
            recorder.tell()
            await published.count(1)

    asyncio.run(work())
