"""Operations of DCSS: one completion each, stop, abort, loss; plain functions of a module; a detector; pyDHS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from devices.core.errors import ConfigurationError, RangeError
from devices.dcss.bridge import Bridge
from devices.dcss.detector import Detector, DetectorMapping
from devices.dcss.dhs_link import DhsLink
from devices.dcss.operation import OperationCall, OperationFailed, Work
from devices.dcss.operation_function import FunctionOperation, functions_of
from devices.simulators.dcss import Database, DcssSimulator
from servers.dhs import deicer
from servers.dhs.config_file import loop_properties, read_config
from tests.support.beamline import Beamline
from tests.support.serving import ROOT

Served = AsyncIterator[tuple[DcssSimulator, Bridge]]


@contextlib.asynccontextmanager
async def serving(works: dict[str, Work], beamline: Beamline | None = None) -> Served:
    bridge = Bridge(beamline or Beamline(), logging.getLogger("diptych.test"))
    for name, work in works.items():
        bridge.operations.add(name, work)
    names = [*works] or ["detector_collect_image", "detector_transfer_image", "detector_stop", "detector_reset_run"]
    if not works:
        mapping = DetectorMapping(expose="ccd/1/exposure/expose", arguments={"seconds": "seconds", "file": "file"})
        Detector(mapping, bridge.around.neighbours).add_to(bridge.operations)
    document = {"hosts": {"diptych": {}}, "devices": [{"kind": "operation", "names": names, "host": "diptych"}]}
    async with DcssSimulator(Database.of(document)) as dcss:
        link = DhsLink("127.0.0.1", dcss.port, "diptych", bridge)
        await link.start()
        try:
            await dcss.online("diptych")
            yield dcss, bridge
        finally:
            await bridge.close()
            await link.stop()
        assert dcss.violations == []


async def until(true: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


async def waits(call: OperationCall) -> Sequence[object]:
    """Ends when it is stopped, with how far it is."""
    call.update("waiting", 3.5)
    await call.stop_requested.wait()
    return ("stopped", 17)


async def fails(call: OperationCall) -> None:
    raise OperationFailed("error", "TipNotInView", "+")


async def refuses(call: OperationCall) -> None:
    raise RangeError(f"seconds = {call.number(0):g} s is outside (0, 30] s")


async def answers(call: OperationCall) -> Sequence[object]:
    return (call.rest, 0.25, "a b", "")


async def too_long(call: OperationCall) -> Sequence[object]:
    return ["1234567890"] * 200


WORKS: dict[str, Work] = {
    "waits": waits, "fails": fails, "refuses": refuses, "answers": answers, "tooLong": too_long
}  # fmt: skip


def test_a_result_is_a_tcl_list_and_a_failure_has_its_reason_as_one_word() -> None:
    async def test() -> None:
        async with serving(WORKS) as (dcss, _):
            ended = {
                name: await dcss.engine.completed(dcss.engine.start_operation(name, "31 {b c}"))
                for name in ("answers", "fails", "refuses")
            }
            assert (ended["answers"].status, ended["answers"].result) == ("normal", "{31 {b c}} 0.250000 {a b} {}")
            assert (ended["fails"].status, ended["fails"].result) == ("error", "TipNotInView +")
            assert ended["refuses"].status == "RangeError"
            assert ended["refuses"].result == "seconds = 31 s is outside (0, 30) s"

    asyncio.run(test())


def test_a_result_that_dcss_cannot_take_is_a_failure_and_no_silence() -> None:
    async def test() -> None:
        async with serving(WORKS) as (dcss, _):
            run = await dcss.engine.completed(dcss.engine.start_operation("tooLong"))
            assert run.status == "BadValueError" and "1024" in run.result

    asyncio.run(test())


def test_a_stop_ends_an_operation_early_as_normal_and_an_abort_as_aborted() -> None:
    async def test() -> None:
        async with serving(WORKS) as (dcss, bridge):
            run = dcss.engine.start_operation("waits")
            await until(lambda: run.updates == ["waiting 3.500000"])
            dcss.engine.stop_operation("waits")
            await dcss.engine.completed(run)
            assert (run.status, run.result) == ("normal", "stopped 17")
            both = [dcss.engine.start_operation("waits") for _ in range(2)]
            await until(lambda: len(bridge.operations.running) == 2)
            dcss.engine.abort_all("hard")
            for each in both:
                assert (await dcss.engine.completed(each)).status == "aborted"
            # At once, before it could begin.
            run = dcss.engine.start_operation("waits")
            dcss.engine.abort_all()
            assert (await dcss.engine.completed(run)).status == "aborted"
            assert bridge.operations.completed == 4

    asyncio.run(test())


def test_a_loss_ends_all_operations_and_nothing_is_said_of_them_later() -> None:
    async def test() -> None:
        async with serving(WORKS) as (dcss, bridge):
            run = dcss.engine.start_operation("waits")
            await until(lambda: run.updates)
            dcss.hardware.drop("diptych", "reset")
            assert (await dcss.engine.completed(run)).status == "no_hw_host_diptych"
            await until(lambda: bridge.operations.running == [])
            await dcss.online("diptych")
            again = dcss.engine.start_operation("waits")
            await until(lambda: again.updates)
            dcss.engine.stop_operation("waits")
            assert (await dcss.engine.completed(again)).status == "normal"

    asyncio.run(test())


def test_functions_of_a_module_are_operations_and_what_they_yield_are_updates() -> None:
    async def test() -> None:
        deicer.configure({"heater_pin": 5, "air_pin": 6})
        async with serving(functions_of(deicer)) as (dcss, _):
            run = dcss.engine.start_operation("deice", "0.6")
            await until(lambda: len(run.updates) == 1)
            state = await dcss.engine.completed(dcss.engine.start_operation("deicerState"))
            assert state.result == "1 1"
            assert (await dcss.engine.completed(run)).status == "normal"
            assert run.updates[0].startswith("deicing 0.6")
            state = await dcss.engine.completed(dcss.engine.start_operation("deicerState"))
            assert state.result == "0 0"
            for given, status in (("31", "RangeError"), ("long", "BadValueError"), ("1 2", "BadValueError")):
                assert (await dcss.engine.completed(dcss.engine.start_operation("deice", given))).status == status

    asyncio.run(test())


def test_an_aborted_function_puts_things_right_before_it_is_completed() -> None:
    async def test() -> None:
        deicer.configure({})
        async with serving(functions_of(deicer)) as (dcss, _):
            run = dcss.engine.start_operation("deice", "20")
            await until(lambda: run.updates)
            dcss.engine.abort_all()
            assert (await dcss.engine.completed(run)).status == "aborted"
            state = await dcss.engine.completed(dcss.engine.start_operation("deicerState"))
            assert state.result == "0 0"

    asyncio.run(test())


def test_a_function_whose_arguments_no_word_can_be_is_refused_when_it_is_loaded() -> None:
    def take(picture: list[int]) -> None:
        """Of no use."""

    with pytest.raises(ConfigurationError, match=r"picture: .* is none of str, int, float, bool"):
        FunctionOperation(take)


def test_a_detector_asks_for_the_oscillation_and_both_operations_end_when_the_image_is_written() -> None:
    async def test() -> None:
        beamline = Beamline()
        written: list[str] = []

        async def expose(seconds: float, file: str) -> None:
            await asyncio.sleep(seconds)
            written.append(file)

        beamline.commands["ccd/1/exposure/expose"] = expose
        async with serving({}, beamline) as (dcss, _):
            words = "3 lyso_001 /data user gonio_phi 0.2 90.0 0.5 300.0 0.97946 0.0 0.0 1 0 PRIVATE0815"
            collect = dcss.engine.start_operation("detector_collect_image", words)
            await until(lambda: collect.updates)
            assert collect.updates == ["start_oscillation shutter 0.2 lyso_001"]
            transfer = await dcss.engine.completed(dcss.engine.start_operation("detector_transfer_image"))
            assert transfer.status == "normal" and written == ["lyso_001"]
            await dcss.engine.completed(collect)
            assert (collect.status, collect.result) == ("normal", "3")
            assert collect.updates[-1] == "prepare_for_oscillation 90.500000"
            reset = await dcss.engine.completed(dcss.engine.start_operation("detector_reset_run", "3"))
            assert (reset.status, reset.result) == ("normal", "3")

    asyncio.run(test())


BEAMLINE = """
dcss: {host: 127.0.0.1, port: %d}
loopdhs:
  automl: {host: automl.site, port: 8501, threshold: 0.08}
  axis: {host: camera.site, port: 8080, camera: 3}
  jpeg_receiver: {port: 9001}
  save_image_files: true
  image_save_dir: /data/loops
  osci_time: 2.5
deicer: {heater_pin: 5}
"""


def test_a_configuration_file_of_the_beamlines_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "BL-831.config").write_text(BEAMLINE % 14242)
    found = loop_properties(read_config(tmp_path, "BL-831", "loop"))
    assert found == {
        "dcss": "127.0.0.1:14242", "dhs_name": "loop", "automl": "automl.site:8501", "least_score": "0.08",
        "snapshot_url": "http://camera.site:8080/axis-cgi/jpg/image.cgi?camera=3", "osci_time": "2.5",
        "save_folder": "/data/loops",
    }  # fmt: skip
    (tmp_path / "BL-831.config").write_text("dcss: {port: 0}\nloopdhs: {axis: 7}\n")
    with pytest.raises(ConfigurationError, match=r"dcss.port = 0.*axis = 7"):
        read_config(tmp_path, "BL-831", "loop")


def test_pydhs_serves_the_functions_of_a_module_without_a_database(tmp_path: Path) -> None:
    async def test() -> None:
        names = ["deice", "deicerState"]
        document = {"hosts": {"deicer": {}}, "devices": [{"kind": "operation", "names": names, "host": "deicer"}]}
        async with DcssSimulator(Database.of(document)) as dcss:
            (tmp_path / "BL-831.config").write_text(BEAMLINE % dcss.port)
            words = ["dhs", "BL-831", "deicer", "--config", str(tmp_path)]
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "servers.main", *words, cwd=ROOT)
            try:
                await dcss.online("deicer", 30.0)
                run = await dcss.engine.completed(dcss.engine.start_operation("deice", "0.1"))
                assert run.status == "normal"
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 10.0) == 0
            finally:
                if process.returncode is None:
                    process.kill()

    asyncio.run(test())
