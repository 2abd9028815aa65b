"""Frames from the files that a recorder is writing."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path
from typing import IO

import pytest
from frames import Published, pixels, raw_frame, running, until

from devices.core.errors import NotConnectedError
from devices.daq.sources import growing_files
from devices.daq.sources.run_directory import RunDirectory
from devices.drivers.pff import product
from devices.drivers.pff_file import file_name

RUN = "obs_Lick.start_2024-07-25T04:34:06Z.runtype_sci-data.pffd"
NEXT_RUN = "obs_Lick.start_2024-07-25T05:00:00Z.runtype_sci-data.pffd"
START = "2024-07-25T04:34:46Z"


def pff(data: Path, module: int = 3, name: str = "img16", seqno: int = 0, run: str = RUN) -> Path:
    path = data / f"module_{module}" / run / file_name(product(name), module, seqno, START)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def append(path: Path, *indexes: int, name: str = "img16") -> None:
    with path.open("ab") as file:
        file.write(b"".join(raw_frame(index, name).bytes for index in indexes))


@pytest.mark.parametrize("polls", [False, True], ids=["inotify", "polling"])
def test_all_frames_of_a_burst_are_published_in_order(tmp_path: Path, polls: bool) -> None:
    """The recorder's files grow by 412 frames at once."""
    path = pff(tmp_path)
    append(path, 0, 1)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path, polls=polls)) as source:
            append(path, *range(2, 414))
            frames = await published.count(412)
            assert [frame.number for frame in frames] == list(range(2, 414))
            assert {(frame.file, frame.module, frame.product.name) for frame in frames} == {(path.name, 3, "img16")}
            assert frames[-1].pixels == pixels(413, product("img16"))
            assert frames[0].fields["quabo_3"]["pkt_num"] == 2
            assert (source.frames, source.skipped_bytes, source.problem) == (412, 0, "")

    asyncio.run(work())


def test_a_frame_is_published_soon_after_it_was_written(tmp_path: Path) -> None:
    path = pff(tmp_path)
    append(path, 0)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path)):
            for index in range(1, 21):
                append(path, index)
                await published.count(index)  # else the next one would not be alone

    asyncio.run(work())


@pytest.mark.parametrize("polls", [False, True], ids=["inotify", "polling"])
def test_the_next_file_the_next_run_and_a_new_module_are_found(tmp_path: Path, polls: bool) -> None:
    append(pff(tmp_path), 0)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path, polls=polls)):
            append(pff(tmp_path), 1)
            append(pff(tmp_path, seqno=1), 2, 3)
            append(pff(tmp_path, module=40, name="ph256"), 4, name="ph256")
            append(pff(tmp_path, name="img8", run=NEXT_RUN), 5, name="img8")
            await published.count(5)
            append(pff(tmp_path, module=40, name="ph256"), 6, name="ph256")
            await published.count(6)
            found = {(frame.module, frame.product.name, frame.file[-12:], frame.number) for frame in published.frames}
            assert found == {
                (3, "img16", ".seqno_0.pff", 1),
                (3, "img16", ".seqno_1.pff", 0),
                (3, "img16", ".seqno_1.pff", 1),
                (40, "ph256", ".seqno_0.pff", 0),
                (40, "ph256", ".seqno_0.pff", 1),
                (3, "img8", ".seqno_0.pff", 0),
            }
            assert [frame.quabo for frame in published.frames if frame.module == 40] == [2, 2]

    asyncio.run(work())


def test_the_files_of_a_run_are_read_in_their_order(tmp_path: Path) -> None:
    """Ten files come while one looks away, the tenth has two digits."""
    first = pff(tmp_path)
    first.parent.mkdir(parents=True, exist_ok=True)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path)):
            for seqno in range(11):
                append(pff(tmp_path, seqno=seqno), seqno)
            frames = await published.count(11)
            assert [frame.fields["quabo_0"]["pkt_num"] for frame in frames] == list(range(11))

    asyncio.run(work())


def test_a_part_of_a_frame_waits_for_its_rest(tmp_path: Path) -> None:
    path = pff(tmp_path)
    append(path, 0)
    whole = raw_frame(1).bytes

    async def work() -> None:
        published = Published()
        with path.open("ab", buffering=0) as file:
            file.write(whole[:700])  # the recorder is just in the middle of a frame
            async with running(RunDirectory(published, tmp_path)):
                file.write(whole[700:2000])
                append(pff(tmp_path, module=9), 7)  # seen, so the part was seen, too
                await published.count(1)
                file.write(whole[2000:] + raw_frame(2).bytes)
                await published.count(3)
        assert [(frame.module, frame.number) for frame in published.frames] == [(9, 0), (3, 1), (3, 2)]

    asyncio.run(work())


def test_a_file_that_is_cut_off_or_replaced_is_read_from_its_begin(tmp_path: Path) -> None:
    path = pff(tmp_path)
    append(path, 0, 1, 2)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path)):
            append(path, 3)
            await published.count(1)
            path.write_bytes(raw_frame(50).bytes)
            await published.count(2)
            other = path.with_suffix(".part")
            other.write_bytes(b"".join(raw_frame(index).bytes for index in range(60, 66)))
            os.replace(other, path)
            await published.count(8)
        numbers = [(frame.number, frame.fields["quabo_1"]["pkt_num"]) for frame in published.frames]
        assert numbers == [(3, 3), (0, 50), *((index, 60 + index) for index in range(6))]

    asyncio.run(work())


def test_a_clock_that_runs_free_and_damage_cost_no_whole_frame(tmp_path: Path) -> None:
    """2 146 239 299 ns have a digit more than a second has: the header is 4 bytes longer."""
    path = pff(tmp_path)
    path.write_bytes(raw_frame(0, nsec=2_146_239_299).bytes + raw_frame(1).bytes)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path)) as source:
            with path.open("ab") as file:
                file.write(raw_frame(2).bytes + raw_frame(3, nsec=1_000_000_000).bytes + b"\0" * 99)
                file.write(raw_frame(4).bytes + raw_frame(5).bytes)
            await published.count(4)
            await until(lambda: source.skipped_bytes == 99)
        assert [(frame.number, frame.fields["quabo_2"]["pkt_num"]) for frame in published.frames] == [
            (2, 2),
            (3, 3),
            (4, 4),
            (5, 5),
        ]

    asyncio.run(work())


def test_only_the_modules_that_are_asked_for(tmp_path: Path) -> None:
    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path, modules=[254])):
            for module in (1, 254, 3):
                append(pff(tmp_path, module=module), module)
            append(pff(tmp_path, module=254), 8)
            await published.count(2)
        assert [frame.module for frame in published.frames] == [254, 254]

    asyncio.run(work())


def test_from_the_start_means_the_newest_run_of_each_module(tmp_path: Path) -> None:
    append(pff(tmp_path), 0, 1)
    append(pff(tmp_path, run=NEXT_RUN), 2, 3)
    append(pff(tmp_path, module=8), 4)
    old = pff(tmp_path).parent
    os.utime(old, (1.0, 1.0))

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, tmp_path, from_start=True)):
            frames = await published.count(3)
            append(pff(tmp_path), 5)
            await published.count(4)
        assert [frame.fields["quabo_0"]["pkt_num"] for frame in frames] == [2, 3, 4, 5]

    asyncio.run(work())


def test_files_elsewhere_are_not_read_and_other_files_do_no_harm(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    data.mkdir()
    append(pff(outside), 0)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, data)):
            (data / "module_5").symlink_to(outside / "module_3")
            path = pff(data)
            (path.parent / pff(outside, seqno=7).name).symlink_to(pff(outside))
            (path.parent / "hk.pff").write_bytes(b'{"a": 1}\n\n')
            (path.parent / "start_x.dp_img99.bpp_2.module_3.seqno_0.pff").write_bytes(raw_frame(5).bytes)
            (path.parent / "run_complete").touch()
            append(path, 1)
            frames = await published.count(1)
            append(path, 2)
            await published.count(2)
        assert [frame.file for frame in frames] == [path.name] * 2

    asyncio.run(work())


def test_a_file_that_cannot_be_read_is_told_and_keeps_no_other_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = pff(tmp_path)

    def open_others(path: Path, mode: str) -> IO[bytes]:
        if path == locked and forbidden:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return path.open(mode)

    forbidden = True
    monkeypatch.setattr(growing_files, "open", open_others, raising=False)

    async def work() -> None:
        nonlocal forbidden
        published = Published()
        async with running(RunDirectory(published, tmp_path)) as source:
            append(locked, 0)
            append(pff(tmp_path, module=4), 1)
            os.mkfifo(pff(tmp_path, module=4, seqno=1))  # nobody may wait for who writes to it
            await until(lambda: source.problem and published.frames)
            assert source.problem == f"{locked} cannot be read: Permission denied"
            forbidden = False
            append(locked, 2)
            await published.count(3)
            await until(lambda: not source.problem)
        assert [(frame.module, frame.number) for frame in published.frames] == [(4, 0), (3, 0), (3, 1)]

    asyncio.run(work())


def test_a_data_folder_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    append(pff(data), 0)

    async def work() -> None:
        published = Published()
        async with running(RunDirectory(published, data)) as source:
            shutil.move(data, tmp_path / "away")
            await until(lambda: source.problem)
            assert str(data) in source.problem
            shutil.move(tmp_path / "away", data)
            append(pff(data), 1)
            await published.count(1)
            await until(lambda: not source.problem)
        assert published.places() == [(pff(data).name, 1)]

    asyncio.run(work())


def test_without_a_data_folder_there_is_no_begin(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(RunDirectory(Published(), tmp_path / "nothing")):
            pass

    with pytest.raises(NotConnectedError, match="nothing is missing"):
        asyncio.run(work())
