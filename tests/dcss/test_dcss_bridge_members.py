"""DCSS drives what a mapping names: every kind of device, over a real socket to a simulated DCSS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import yaml

from devices.core.errors import ConfigurationError, RefusedError
from devices.dcss.bridge import Bridge
from devices.dcss.dhs_link import DhsLink
from devices.dcss.mapping import checked_mapping, fill
from devices.simulators.dcss import Database, DcssSimulator
from tests.support.beamline import Beamline

MAPPING = """
real_motors:
  gonio_phi: {setpoint: mx/phi/1/target, position: mx/phi/1/angle, moving: mx/phi/1/state, stop: mx/phi/1/stop,
              speed: mx/phi/1/speed}
  table_vert: {record: "BL:TABLE", factor: 1000}
pseudo_motors:
  energy: {setpoint: mx/mono/1/energy, limits: [6500, 15500]}
shutters:
  shutter: {put: mx/shutter/1/state, open: OPEN, closed: CLOSED}
  video_trigger: {}
ion_chambers:
  i0: {value: mx/i0/1/rate}
  i1: {command: mx/i1/1/count}
strings:
  detectorStatus:
    words: {TEMPERATURE: mx/cryo/1/temperature, STATE: mx/cryo/1/state, NOTE: mx/cryo/1/note}
    seconds: 0.05
encoders:
  detector_z_encoder: {value: mx/z/1/position}
objects: [sample_camera]
operations:
  helloWorld: {run: mx/robot/1/mount, arguments: [port, note], texts: [note]}
"""


@contextlib.asynccontextmanager
async def bridged(mapping: str = MAPPING) -> AsyncIterator[tuple[DcssSimulator, Beamline, Bridge, DhsLink]]:
    beamline = Beamline()
    for address, value in {
        "mx/phi/1/target": 10.0, "mx/phi/1/angle": 10.0, "mx/phi/1/state": "ON", "mx/phi/1/speed": 200.0,
        "ca:BL:TABLE.VAL": 1500.0, "ca:BL:TABLE.RBV": 1500.0, "ca:BL:TABLE.VELO": 20000.0, "ca:BL:TABLE.STOP": 0,
        "ca:BL:TABLE.LLM": -8000.0, "ca:BL:TABLE.HLM": 21000.0, "ca:BL:TABLE.LLS": 0, "ca:BL:TABLE.HLS": 0,
        "ca:BL:TABLE.SET": 0,
        "mx/mono/1/energy": 12658.0, "mx/shutter/1/state": "CLOSED", "mx/i0/1/rate": 4000.0,
        "mx/cryo/1/temperature": 100.25, "mx/cryo/1/state": "ON", "mx/cryo/1/note": "cold [100 K]; fine",
        "mx/z/1/position": 312.5,
    }.items():  # fmt: skip
        beamline.values[address] = value
    beamline.add_axis("mx/phi/1/target", "mx/phi/1/angle", speed="mx/phi/1/speed")
    beamline.commands["mx/phi/1/stop"] = beamline.stop
    beamline.add_axis("ca:BL:TABLE.VAL", "ca:BL:TABLE.RBV", done="ca:BL:TABLE.DMOV", speed="ca:BL:TABLE.VELO")
    beamline.commands["ca:BL:TABLE.STOP"] = beamline.stop
    log = logging.getLogger("diptych.test")
    bridge = Bridge(beamline, log)
    fill(bridge, checked_mapping(yaml.safe_load(mapping), "mapping"), "mapping")
    async with DcssSimulator() as dcss:
        link = DhsLink("127.0.0.1", dcss.port, "loop", bridge)
        bridge.begin()
        await link.start()
        try:
            await dcss.online("loop")
            await until(lambda: "sample_camera" in bridge.members and bridge.members["sample_camera"].is_registered)
            yield dcss, beamline, bridge, link
        finally:
            await bridge.close()
            await link.stop()
            await beamline.close()
        assert dcss.violations == []


async def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def said(dcss: DcssSimulator, command: str) -> list[str]:
    """What the bridge has said with this command, its arguments."""
    return [text.partition(" ")[2] for way, _, text in dcss.dcss.messages if way == "in" and text.split()[0] == command]


def device(dcss: DcssSimulator, name: str) -> Any:
    return dcss.dcss.devices[name]


def test_an_epics_motor_is_mapped_by_its_name_and_dcss_learns_its_position_and_limits() -> None:
    async def test() -> None:
        async with bridged() as (dcss, _, _, _):
            await until(lambda: device(dcss, "table_vert").position == 1.5)
            table = device(dcss, "table_vert")
            assert (table.lower, table.upper, table.lower_on, table.upper_on) == (-8.0, 21.0, 1, 1)
            assert table.scale == 1000.0  # DCSS' own stays

    asyncio.run(test())


def test_a_move_is_started_told_on_its_way_and_completed_where_it_ends() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "table_vert").position == 1.5)
            assert dcss.engine.move("table_vert", -3.25) == ""
            await dcss.engine.idle("table_vert")
            assert device(dcss, "table_vert").position == -3.25
            assert beamline.values["ca:BL:TABLE.RBV"] == -3250.0
            assert said(dcss, "htos_motor_move_started") == ["table_vert -3.250000"]
            assert said(dcss, "htos_motor_move_completed") == ["table_vert -3.250000 normal"]
            on_its_way = [float(text.split()[1]) for text in said(dcss, "htos_update_motor_position")]
            assert any(-3.25 < position < 1.5 for position in on_its_way)

    asyncio.run(test())


def test_an_abort_stops_the_axis_and_completes_the_move_as_aborted_where_it_stands() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "table_vert").position == 1.5)
            beamline.values["ca:BL:TABLE.VELO"] = 1000.0
            dcss.engine.move("table_vert", 20.0)
            await until(lambda: beamline.values["ca:BL:TABLE.RBV"] > 1600.0)
            dcss.engine.abort_all()
            with pytest.raises(RefusedError, match="aborted"):
                await dcss.engine.idle("table_vert")
            assert ("ca:BL:TABLE.STOP", 1) in beamline.puts
            stopped = device(dcss, "table_vert").position
            assert 1.6 < stopped < 20.0
            assert len(said(dcss, "htos_motor_move_completed")) == 1

    asyncio.run(test())


def test_what_another_client_moves_is_told_to_dcss() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "energy").position == 12658.0 and said(dcss, "htos_configure_device"))
            beamline.show("mx/mono/1/energy", 7112.0)
            await until(lambda: device(dcss, "energy").position == 7112.0)

    asyncio.run(test())


def test_a_pseudo_motor_keeps_to_the_limits_of_the_mapping_and_says_what_the_hardware_refuses() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "energy").upper == 15500.0)
            assert dcss.engine.move("energy", 15600.0) == "sw_limit"
            beamline.limits["mx/mono/1/energy"] = (6600.0, 15000.0)
            dcss.engine.move("energy", 15200.0)
            with pytest.raises(RefusedError, match="sw_limit"):
                await dcss.engine.idle("energy")
            dcss.engine.move("energy", 9660.7)
            await dcss.engine.idle("energy")
            assert beamline.puts[-1] == ("mx/mono/1/energy", 9660.7)

    asyncio.run(test())


def test_setting_a_position_moves_nothing_and_later_moves_go_by_the_new_one() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, bridge, _):
            await until(lambda: device(dcss, "gonio_phi").position == 10.0)
            dcss.dcss.to_host("loop", "stoh_set_motor_position gonio_phi 0.000000")
            await until(lambda: bridge.around.offsets.get("gonio_phi") == 10.0)
            assert beamline.puts == []
            dcss.engine.move("gonio_phi", -4.5)
            await dcss.engine.idle("gonio_phi")
            assert beamline.values["mx/phi/1/angle"] == 5.5
            dcss.dcss.to_host("loop", "stoh_correct_motor_position gonio_phi 360")
            await until(lambda: bridge.around.offsets["gonio_phi"] == -350.0)
            # A motor record is told itself.
            dcss.dcss.to_host("loop", "stoh_set_motor_position table_vert 2.000000")
            await until(lambda: beamline.puts[-1] == ("ca:BL:TABLE.SET", 0))
            assert beamline.puts[-3:-1] == [("ca:BL:TABLE.SET", 1), ("ca:BL:TABLE.VAL", 2000.0)]

    asyncio.run(test())


def test_backlash_is_taken_out_by_a_last_approach_from_its_side() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "gonio_phi").position == 10.0)
            dcss.dcss.to_host(
                "loop", "stoh_configure_real_motor gonio_phi loop gonio_phi 10 720 -720 1000 60000 100 500 0 0 0 1 0 0"
            )
            dcss.engine.move("gonio_phi", 4.0)
            await dcss.engine.idle("gonio_phi")
            targets = [value for address, value in beamline.puts if address == "mx/phi/1/target"]
            assert targets == [3.5, 4.0]
            dcss.engine.move("gonio_phi", 8.0)
            await dcss.engine.idle("gonio_phi")
            assert [value for address, value in beamline.puts if address == "mx/phi/1/target"] == [3.5, 4.0, 8.0]

    asyncio.run(test())


def test_an_oscillation_opens_the_shutter_turns_evenly_and_closes_it() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "gonio_phi").position == 10.0)
            dcss.engine.start_oscillation("gonio_phi", "shutter", 12.0, 0.4)
            await dcss.engine.idle("gonio_phi")
            kinds = ("htos_report_shutter_state", "htos_motor_move_started", "htos_motor_move_completed")
            order = [text for way, _, text in dcss.dcss.messages if way == "in" and text.startswith(kinds)]
            first = order.index("htos_motor_move_started gonio_phi 22.000000")
            assert order[first:] == [
                "htos_motor_move_started gonio_phi 22.000000",
                "htos_report_shutter_state shutter open",
                "htos_report_shutter_state shutter closed",
                "htos_motor_move_completed gonio_phi 22.000000 normal",
            ]
            assert ("mx/phi/1/speed", 30.0) in beamline.puts and beamline.values["mx/phi/1/speed"] == 200.0

    asyncio.run(test())


def test_an_aborted_oscillation_closes_the_shutter_at_once() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "gonio_phi").position == 10.0)
            beamline.commands["mx/phi/1/stop"] = lambda: beamline.values.__setitem__("mx/phi/1/stopped", True)
            dcss.engine.start_oscillation("gonio_phi", "shutter", 90.0, 60.0)
            await until(lambda: beamline.values["mx/shutter/1/state"] == "OPEN")
            dcss.dcss.to_host("loop", "stoh_abort_motor_move gonio_phi")
            with pytest.raises(RefusedError, match="aborted"):
                await dcss.engine.idle("gonio_phi")
            assert beamline.values["mx/shutter/1/state"] == "CLOSED"
            assert beamline.values["mx/phi/1/stopped"]

    asyncio.run(test())


def test_a_shutter_follows_dcss_and_tells_when_somebody_else_opens_it() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            dcss.engine.ask("shutter", "stoh_set_shutter_state shutter open")
            await dcss.engine.idle("shutter")
            assert (device(dcss, "shutter").state, beamline.values["mx/shutter/1/state"]) == ("open", "OPEN")
            beamline.show("mx/shutter/1/state", "CLOSED")
            await until(lambda: device(dcss, "shutter").state == "closed")
            beamline.show("mx/shutter/1/state", None)
            dcss.engine.ask("shutter", "stoh_set_shutter_state shutter open")
            with pytest.raises(RefusedError, match="NotConnectedError"):
                await dcss.engine.idle("shutter")
            assert device(dcss, "shutter").state == "closed"

    asyncio.run(test())


def test_ion_chambers_count_together_with_one_report_in_the_order_asked_for() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            beamline.commands["mx/i1/1/count"] = lambda seconds: {"counts": 1200.0 * seconds}
            dcss.engine.read_ion_chambers(0.5, ["i1", "i0"])
            await dcss.engine.idle("i0", "i1")
            (report,) = said(dcss, "htos_report_ion_chambers")
            seconds, first, one, second, zero = report.split()
            assert (float(seconds), first, second, float(one)) == (0.5, "i1", "i0", 600.0)
            assert float(zero) == pytest.approx(2000.0, rel=0.2)

    asyncio.run(test())


def test_an_ion_chamber_that_is_away_ends_the_count_with_its_reason() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            beamline.show("mx/i0/1/rate", None)
            dcss.engine.read_ion_chambers(0.1, ["i0"])
            with pytest.raises(RefusedError, match="NotConnectedError"):
                await dcss.engine.idle("i0")
            assert said(dcss, "htos_report_ion_chambers") == ["0 i0 NotConnectedError"]

    asyncio.run(test())


def test_a_string_is_a_tcl_list_without_what_tcl_would_evaluate_and_is_told_again_after_a_loss() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            told = "TEMPERATURE 100.25 STATE ON NOTE {cold (100 K), fine}"
            await until(lambda: device(dcss, "detectorStatus").contents == told)
            for tenth in range(40):
                beamline.show("mx/cryo/1/temperature", 100.25 + tenth / 10)
            await until(lambda: device(dcss, "detectorStatus").contents.startswith("TEMPERATURE 104.15 "))
            assert len(said(dcss, "htos_set_string_completed")) < 6
            device(dcss, "detectorStatus").contents = ""
            dcss.hardware.drop("loop", "reset")
            await until(lambda: device(dcss, "detectorStatus").contents.startswith("TEMPERATURE 104.15 "))
            dcss.engine.ask("detectorStatus", "stoh_set_string detectorStatus TEMPERATURE 4")
            with pytest.raises(RefusedError, match="read_only"):
                await dcss.engine.idle("detectorStatus")

    asyncio.run(test())


def test_an_encoder_tells_where_it_is_and_takes_a_new_zero() -> None:
    async def test() -> None:
        async with bridged() as (dcss, _, _, _):
            dcss.engine.ask("detector_z_encoder", "stoh_get_encoder detector_z_encoder")
            await dcss.engine.idle("detector_z_encoder")
            assert device(dcss, "detector_z_encoder").position == 312.5
            dcss.engine.ask("detector_z_encoder", "stoh_set_encoder detector_z_encoder 300.0")
            await dcss.engine.idle("detector_z_encoder")
            dcss.engine.ask("detector_z_encoder", "stoh_get_encoder detector_z_encoder")
            await dcss.engine.idle("detector_z_encoder")
            assert device(dcss, "detector_z_encoder").position == 300.0

    asyncio.run(test())


def test_an_operation_runs_a_command_with_its_words_and_answers_with_the_result() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            beamline.commands["mx/robot/1/mount"] = lambda port, note: {"mounted": port + 1, "note": note}
            run = await dcss.engine.completed(dcss.engine.start_operation("helloWorld", "6 007 second pin"))
            assert (run.status, run.result) == ("normal", "7 {007 second pin}")

    asyncio.run(test())


def test_what_nobody_does_is_answered_at_once_and_reported() -> None:
    async def test() -> None:
        async with bridged() as (dcss, _, bridge, _):
            run = await dcss.engine.completed(dcss.engine.start_operation("longReply"), 2.0)
            assert run.status == "not_implemented"
            assert sorted(bridge.unmapped) == ["operation longReply", "operation slowOp"]
            assert bridge.unregistered == []
            assert "warning diptych operation slowOp is not mapped" in said(dcss, "htos_log")

    asyncio.run(test())


def test_a_mapping_of_what_dcss_does_not_register_is_reported() -> None:
    async def test() -> None:
        async with bridged(MAPPING + "modules: [tests.support.deicer]\n") as (_, _, bridge, _):
            assert bridge.unregistered == ["operation deice"]

    asyncio.run(test())


def test_dcss_dying_in_a_move_gets_no_completion_of_the_old_move_and_the_position_when_it_is_back() -> None:
    async def test() -> None:
        async with bridged() as (dcss, beamline, _, _):
            await until(lambda: device(dcss, "table_vert").position == 1.5)
            beamline.values["ca:BL:TABLE.VELO"] = 5000.0
            dcss.engine.move("table_vert", 6.0)
            await until(lambda: beamline.values["ca:BL:TABLE.RBV"] > 2000.0)
            await dcss.hardware.away(1.5, "reset")
            await dcss.online("loop")
            await until(lambda: device(dcss, "table_vert").position == 6.0)
            assert said(dcss, "htos_motor_move_completed") == []

    asyncio.run(test())


def test_all_wrong_keys_of_a_mapping_stand_in_one_error() -> None:
    wrong = """
    real_motors: {phi: {setpoint: mx/phi/1/target, speeed: 3}, x y: {}}
    shutters: {shutter: {put: nowhere}}
    strings: {status: {format: d}}
    """
    with pytest.raises(ConfigurationError) as failure:
        checked_mapping(yaml.safe_load(wrong), "mapping")
    text = str(failure.value)
    for each in ("real_motors.phi.speeed: unknown key", "shutters.shutter.put", "strings.status.format", "x y"):
        assert each in text
    with pytest.raises(ConfigurationError, match=r"motor phi: record or setpoint.*no_such_module"):
        fill(
            Bridge(Beamline(), logging.getLogger("diptych.test")),
            {"real_motors": {"phi": {"tolerance": 1.0}}, "modules": ["no_such_module"]},
            "mapping",
        )


def test_the_example_database_has_every_kind_that_the_mapping_has() -> None:
    kinds = {each.kind for each in Database.read(None).devices.values()}
    bridge = Bridge(Beamline(), logging.getLogger("diptych.test"))
    fill(bridge, checked_mapping(yaml.safe_load(MAPPING), "mapping"), "mapping")
    assert {member.kind for member in bridge.members.values()} | {"operation"} == kinds


STEADY = """
objects: [sample_camera]
pseudo_motors:
  energy: {setpoint: mx/cryo/1/target, position: mx/cryo/1/temperature, tolerance: 0.5, steady: 0.3, hold: true}
"""


def test_a_temperature_has_come_when_it_was_near_for_a_while_and_not_when_it_passes_by() -> None:
    async def test() -> None:
        async with bridged(STEADY) as (dcss, beamline, _, _):
            beamline.show("mx/cryo/1/target", 100.25)
            await until(lambda: device(dcss, "energy").position == 100.25)
            dcss.engine.move("energy", 120.0)
            await until(lambda: ("mx/cryo/1/target", 120.0) in beamline.puts)
            for kelvin in (119.8, 121.0):
                beamline.show("mx/cryo/1/temperature", kelvin)
            await asyncio.sleep(0.6)  # twice as long as it is to be near
            assert device(dcss, "energy").moving
            near_since = time.monotonic()
            beamline.show("mx/cryo/1/temperature", 119.9)
            await dcss.engine.idle("energy")
            assert time.monotonic() - near_since >= 0.3
            assert device(dcss, "energy").position == 119.9

    asyncio.run(test())


def test_a_temperature_that_is_stopped_is_held_where_it_is() -> None:
    async def test() -> None:
        async with bridged(STEADY) as (dcss, beamline, _, _):
            beamline.show("mx/cryo/1/target", 100.25)
            await until(lambda: device(dcss, "energy").position == 100.25)
            dcss.engine.move("energy", 220.0)
            await until(lambda: ("mx/cryo/1/target", 220.0) in beamline.puts)
            beamline.show("mx/cryo/1/temperature", 133.5)
            await until(lambda: device(dcss, "energy").position == 133.5)
            dcss.engine.abort_all()
            with pytest.raises(RefusedError, match="aborted"):
                await dcss.engine.idle("energy")
            await until(lambda: beamline.puts[-1] == ("mx/cryo/1/target", 133.5))

    asyncio.run(test())


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"setpoint": "a/b/1/c", "hold": True, "stop": "a/b/1/stop"}, "stop and hold exclude each other"),
        ({"setpoint": "a/b/1/c", "steady": 2.0}, "steady needs a tolerance"),
    ],
)
def test_a_motor_whose_keys_exclude_each_other_is_refused(entry: dict[str, Any], why: str) -> None:
    bridge = Bridge(Beamline(), logging.getLogger("diptych.test"))
    with pytest.raises(ConfigurationError, match=f"motor cryo: {why}"):
        fill(bridge, {"pseudo_motors": {"cryo": entry}}, "mapping")
