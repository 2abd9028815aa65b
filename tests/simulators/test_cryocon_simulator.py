"""The simulated Cryo-con: its physics, its command language, its sockets."""

from __future__ import annotations

import asyncio
import math
import random
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import connio
import cryocon
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError
from devices.simulators.cryocon import CryoConSimulator, run
from devices.simulators.cryocon.channels import HEATER_WATTS, NOISE, Statistics
from devices.simulators.cryocon.commands import TREE
from devices.simulators.cryocon.instrument import STEP, CryoConInstrument
from devices.simulators.cryocon.physics import Stage
from devices.simulators.cryocon.syntax import Session

START = datetime(2026, 3, 14, 23, 59, 50)


class Bench:
    """An instrument without sockets, and one client's conversation with it."""

    def __init__(self, model: str = "24C", seed: int = 7) -> None:
        self.instrument = CryoConInstrument(model, seed, START)
        self.session = Session(self.instrument, TREE)

    def __call__(self, line: str) -> str | None:
        return self.session.line(line)

    def number(self, query: str) -> float:
        answer = self(query)
        assert answer is not None
        return float(answer.rstrip("KCFSVA%"))

    def after(self, seconds: float) -> Bench:
        self.instrument.advance(seconds)
        return self


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- physics ---


@given(
    watts=st.floats(0.0, 50.0),
    conductance=st.floats(0.01, 2.0),
    sink=st.floats(2.0, 300.0),
    start=st.floats(2.0, 400.0),
    steps=st.integers(1, 60),
)
def test_a_stage_settles_where_the_heat_flows_balance(
    watts: float, conductance: float, sink: float, start: float, steps: int
) -> None:
    stage = Stage(heat_capacity=4.0, conductance=conductance, sink=sink, temperature=start)
    for _ in range(steps):
        stage.advance(40.0 * stage.heat_capacity / conductance / steps, watts)
    assert stage.temperature == pytest.approx(sink + watts / conductance, rel=1e-9)


def test_the_heat_that_is_not_conducted_away_warms_the_metal() -> None:
    stage = Stage(heat_capacity=5.0, conductance=0.05, sink=20.0, temperature=30.0)
    seconds, watts, leaked = 0.01, 4.0, 0.0
    for _ in range(10_000):
        before = stage.temperature
        stage.advance(seconds, watts)
        leaked += stage.conductance * ((before + stage.temperature) / 2.0 - stage.sink) * seconds
    stored = stage.heat_capacity * (stage.temperature - 30.0)
    assert watts * 100.0 == pytest.approx(stored + leaked, rel=1e-6)


@pytest.mark.parametrize(
    ("loop", "heater_range", "load", "watts"),
    [(1, "HI", 50, 50.0), (1, "HI", 25, 25.0), (1, "MID", 50, 5.0), (1, "LOW", 25, 0.25), (2, "HI", 50, 10.0)],
)
def test_a_heater_gives_what_its_range_and_load_allow(
    bench: Bench, loop: int, heater_range: str, load: int, watts: float
) -> None:
    bench(f"LOOP {loop}:TYP MAN;RANG {heater_range};LOAD {load};PMAN 20")
    bench("CONT")
    bench.after(1.0)
    volts, amperes = bench.number(f"LOOP {loop}:VSEN?"), bench.number(f"LOOP {loop}:ISEN?")
    assert volts * amperes == pytest.approx(0.2 * watts, rel=1e-3)
    assert volts / amperes == pytest.approx(load, rel=1e-3)
    assert bench.number(f"LOOP {loop}:LSEN?") == load


def test_a_constant_power_holds_the_temperature_of_the_energy_balance(bench: Bench) -> None:
    stage = bench.instrument.inputs["A"].stage
    bench("LOOP 1:TYP MAN;RANG MID;PMAN 60")
    bench("CONT")
    bench.after(30.0 * stage.heat_capacity / stage.conductance)
    assert bench.number("INP? A") == pytest.approx(stage.sink + 0.6 * 5.0 / stage.conductance, abs=5 * NOISE)


def test_a_heater_at_work_warms_the_heat_sink(bench: Bench) -> None:
    cold = bench.number("LOOP 1:HTRH?")
    bench("LOOP 1:TYP MAN;RANG HI;PMAN 30")
    bench("CONT")
    assert bench.after(300.0).number("LOOP 1:HTRH?") > cold + 3.0
    assert bench.number("SYST:HTRH?") == bench.number("LOOP 1:HTRH?")


@pytest.mark.parametrize("kelvin", [40.0, 77.5, 110.0])
def test_pid_settles_at_the_setpoint_with_the_power_of_the_energy_balance(bench: Bench, kelvin: float) -> None:
    stage = bench.instrument.inputs["A"].stage
    bench(f"LOOP 1:TYP PID;SETP {kelvin}")
    bench("CONT")
    bench.after(1500.0)
    readings = [bench.after(1.0).number("INP? A") for _ in range(50)]
    assert sum(readings) / 50 == pytest.approx(kelvin, abs=0.005)
    assert max(readings) - min(readings) < 20 * NOISE
    balance = (kelvin - stage.sink) * stage.conductance / HEATER_WATTS[1]["MID"] * 100.0
    assert bench.number("LOOP 1:OUTP?") == pytest.approx(balance, abs=0.5)


def test_a_saturated_heater_winds_nothing_up(bench: Bench) -> None:
    stage = bench.instrument.inputs["A"].stage
    stage.temperature = stage.sensed = 25.0
    bench("LOOP 1:PGA 5;IGA 60;SETP 110;:CONT")
    warmest = 0.0
    for _ in range(1200):
        warmest = max(warmest, bench.after(1.0).number("INP? A"))
    assert bench.number("INP? A") == pytest.approx(110.0, abs=0.02)
    assert warmest < 110.5  # an integral that goes on while the heater is full overshoots by 10 K here


def test_the_power_limit_holds_in_every_type(bench: Bench) -> None:
    bench("LOOP 1:MAXP 35;SETP 150;TYP PID;:CONT")
    assert bench.after(20.0).number("LOOP 1:OUTP?") == 35.0
    bench("LOOP 1:TYP MAN;PMAN 80")
    assert bench.after(1.0).number("LOOP 1:OUTP?") == 35.0


def test_a_ramp_moves_at_its_rate_and_ends(bench: Bench) -> None:
    bench("LOOP 1:SETP 80;TYP PID;:CONT")
    bench.after(900.0)
    bench("LOOP 1:RAT 6;TYP RAMPP;SETP 90")
    assert bench.after(30.0)("LOOP 1:RAMP?") == "ON"
    early = bench.number("INP? A")
    assert bench.after(50.0).number("INP? A") - early == pytest.approx(6.0 / 60.0 * 50.0, abs=0.3)
    assert bench.after(120.0)("LOOP 1:RAMP?") == "OFF"
    assert bench.after(300.0).number("INP? A") == pytest.approx(90.0, abs=0.02)


def test_a_pid_table_gives_the_gains_and_the_range_near_the_setpoint(bench: Bench) -> None:
    for line in ("PIDT 3:TABL", "Two", "200.0 1.0 90.0 0.0 HI Default", "80 5 60 0 MID ChA", "bad one x 0 LOW", ";"):
        assert bench(line) is None
    assert bench("PIDT 3:NENT?") == "2"
    bench("LOOP 1:TABLE 3;TYP TABLE;RANG LOW;SETP 85;:CONT")
    bench.after(900.0)
    assert bench("LOOP 1:RANG?") == "MID"
    assert bench.number("INP? A") == pytest.approx(85.0, abs=0.02)


def test_the_analog_outputs_drive_their_supplies(bench: Bench) -> None:
    bench("LOOP 3:TYP MAN;RANG 5V;PMAN 30;:CONT")
    stage = bench.instrument.inputs["C"].stage
    assert bench.after(1000.0).number("LOOP 3:VSEN?") == pytest.approx(1.5)
    assert bench.number("INP? C") == pytest.approx(stage.sink + 1.5 / stage.conductance, abs=0.02)
    assert bench("LOOP 3:HTRR?;HTRH?;ISEN?;LSEN?;LOAD?") == "N/A;N/A;N/A;N/A;N/A"
    assert bench("LOOP 3:RANG HI") == "NACK"
    assert bench("LOOP 3:LOAD 50") == "NACK"


def test_a_torn_heater_wire_heats_nothing(bench: Bench) -> None:
    bench("LOOP 1:TYP MAN;PMAN 50;:CONT")
    bench.instrument.loops[1].heater_open = True
    bench.after(1000.0)
    assert bench("LOOP 1:HTRR?;LSEN?") == "0%;-------"
    assert bench.number("INP? A") == pytest.approx(bench.instrument.stages[0].sink, abs=0.05)


def test_tuning_finds_the_gains_of_the_process_and_they_regulate(bench: Bench) -> None:
    bench("LOOP 1:SETP 80;:CONT")
    bench.after(900.0)
    bench("LOOP 1:AUT:MOD PID;:LOOP 1:AUT:DELT 10;:LOOP 1:AUT:TIM 2000")
    assert bench("LOOP 1:AUT:STAT?;:LOOP 1:AUT:PGA?") == "IDLE;-1.000000"
    assert bench("LOOP 1:AUT:SAVE") == "NACK"
    bench("LOOP 1:AUT:STAR")
    assert bench.after(60.0)("LOOP 1:AUT:STAT?") == "RUNNING"
    assert bench.number("LOOP 1:OUTP?") == pytest.approx(70.0, abs=0.5)  # 60 % of MID holds 80 K, and 10 % more
    bench.after(1000.0)
    assert bench("LOOP 1:AUT:STAT?") == "COMPLETE"
    p, i, d = (bench.number(f"LOOP 1:AUT:{gain}?") for gain in ("PGA", "IGA", "DGA"))
    # gain 1 K per %, lag 100 s, dead time about the sensor's 2 s: SIMC with a closed loop of lag / 10
    assert p == pytest.approx(100.0 / (1.0 * (10.0 + 2.0)), rel=0.25)
    assert i == pytest.approx(4.0 * (10.0 + 2.0), rel=0.25)
    assert 0.0 < d < 3.0
    bench("LOOP 1:AUT:SAVE;:LOOP 1:SETP 95")
    assert bench("LOOP 1:AUT:STAT?;:LOOP 1:TYP?") == "IDLE;PID"
    assert bench.number("LOOP 1:PGA?") == pytest.approx(p)
    assert bench.after(300.0).number("INP? A") == pytest.approx(95.0, abs=0.05)


@pytest.mark.parametrize(("mode", "i_is_zero", "d_is_zero"), [("P", True, True), ("PI", False, True)])
def test_the_tuning_mode_says_which_gains_are_wanted(bench: Bench, mode: str, i_is_zero: bool, d_is_zero: bool) -> None:
    bench(f"LOOP 1:SETP 80;:CONT;:LOOP 1:AUT:MOD {mode}")
    bench.after(900.0)("LOOP 1:AUT:STAR")
    bench.after(800.0)
    assert bench("LOOP 1:AUT:STAT?") == "COMPLETE"
    assert (bench.number("LOOP 1:AUT:IGA?") == 0.0) is i_is_zero
    assert (bench.number("LOOP 1:AUT:DGA?") == 0.0) is d_is_zero


def test_tuning_fails_ends_and_aborts_for_its_reasons(bench: Bench) -> None:
    assert bench("LOOP 1:AUT:STAR") == "NACK"  # not in control
    bench("CONT;:LOOP 1:AUT:TIM 30")
    bench("LOOP 1:AUT:STAR")
    assert bench.after(40.0)("LOOP 1:AUT:STAT?") == "FAILED"
    bench("LOOP 1:AUT:TIM 900;:LOOP 1:AUT:STAR")
    bench.instrument.inputs["A"].open = True
    assert bench.after(1.0)("LOOP 1:AUT:STAT?") == "FAILED"
    bench.instrument.inputs["A"].open = False
    bench.after(1.0)("LOOP 1:AUT:STAR")
    bench.after(1.0)("STOP")
    assert bench.after(1.0)("LOOP 1:AUT:STAT?") == "ABORT"
    bench("CONT")
    bench.after(1.0)("LOOP 1:AUT:STAR")
    bench.after(1.0)("LOOP 1:AUT:EXIT")
    assert bench("LOOP 1:AUT:STAT?;:LOOP 1:AUT:PGA?") == "ABORT;-1.000000"


def test_one_seed_gives_one_sequence_of_readings() -> None:
    def readings(seed: int) -> list[str | None]:
        bench = Bench(seed=seed)
        return [bench.after(STEP)("INP? A,B,C,D") for _ in range(20)]

    assert readings(3) == readings(3)
    assert readings(3) != readings(4)


def test_statistics_know_mean_spread_and_trend() -> None:
    noise = random.Random(5)
    statistics = Statistics()
    temperatures = [300.0 + 0.25 / 60.0 * 0.1 * k + noise.gauss(0.0, 0.01) for k in range(1, 6001)]
    for kelvin in temperatures:
        statistics.take(0.1, kelvin)
    assert statistics.slope == pytest.approx(0.25, abs=5 * 0.01 * math.sqrt(12 / 6000) / 10)
    assert statistics.offset == pytest.approx(300.0, abs=0.002)
    assert statistics.variance == pytest.approx(0.01**2 + 2.5**2 / 12, rel=0.01)  # noise and a ramp of 2.5 K
    assert (statistics.minimum, statistics.maximum) == (min(temperatures), max(temperatures))


# --- faults, alarms, interlock, relays, log ---


def test_sensor_faults_are_told_apart(bench: Bench) -> None:
    bench("CONT;:LOOP 1:SETP 90")
    assert bench.after(20.0).number("LOOP 1:OUTP?") > 10.0
    bench.instrument.inputs["A"].open = True
    assert bench.after(STEP)("INP? A,B")[:8] == "-------;"  # type: ignore[index]
    assert bench("INP A:SENP?") == "-------"
    assert bench.number("LOOP 1:OUTP?") == 0.0, "a loop without a sensor does not heat"
    bench.instrument.inputs["A"].open = False
    bench.instrument.inputs["A"].beyond_curve = True
    assert bench.after(STEP)("INP A:TEMP?") == "......."
    assert bench.number("INP A:SENP?") > 0.0
    bench("INP A:SENS 0")
    assert bench.after(STEP)("INP A:TEMP?;SENP?") == "N/A;N/A"
    bench.instrument.inputs["B"].stage.temperature = bench.instrument.inputs["B"].stage.sensed = 2.0
    assert bench.after(STEP)("INP B:TEMP?") == ".......", "colder than the curve of platinum goes"


def test_an_alarm_has_a_dead_band(bench: Bench) -> None:
    stage = bench.instrument.inputs["D"].stage
    bench("INP D:ALAR:HIGH 295;HIEN YES;DEA 2;:INP D:ALAR:LOWE 285;LOEN YES")

    def at(kelvin: float) -> str | None:
        stage.temperature = stage.sensed = kelvin
        bench.after(STEP)("SYST:RES")
        return bench.after(STEP)("INP D:ALAR?")

    assert [at(t) for t in (290.0, 294.9, 295.2, 293.5, 292.5)] == ["--", "--", "HI", "HI", "--"]
    assert [at(t) for t in (285.2, 284.8, 286.5, 287.5)] == ["--", "LO", "LO", "--"]
    bench("INP D:ALAR:LTEN YES")
    assert [at(t) for t in (296.0, 290.0)] == ["HI", "HI"]
    bench("INP D:ALAR:CLE")
    assert at(290.0) == "--"


def test_a_sensor_fault_is_an_alarm_when_asked_for(bench: Bench) -> None:
    bench.instrument.inputs["C"].open = True
    assert bench.after(STEP)("INP C:ALAR?") == "--"
    bench("INP C:ALAR:FAU YES")
    assert bench.after(STEP)("INP C:ALAR?") == "SF"


def test_the_interlock_ends_control(bench: Bench) -> None:
    bench("OVER:SOUR B;TEMP 70;ENAB ON;:CONT")
    assert bench.after(1.0)("CONT?") == "ON"
    bench.instrument.inputs["B"].stage.temperature = 75.0
    bench.after(5.0)
    assert bench("CONT?;:LOOP 1:OUTP?") == "OFF;0.0000"
    bench("CONT")
    assert bench.after(1.0)("CONT?") == "OFF"


def test_relays_follow_a_temperature_the_control_or_a_hand(bench: Bench) -> None:
    bench("REL 2:SOUR C;HIGH 24;LOWE 10;DEA 0.5;MOD AUTO")
    assert bench.after(1.0)("REL? 2") == "HI"
    bench("REL 2:HIGH 30")
    assert bench.after(1.0)("REL? 2") == "--"
    bench("REL 1:MOD CONTROL;:CONT")
    assert bench.after(1.0)("REL? 1") == "ON"
    bench("REL 1:MOD OFF")
    assert bench.after(1.0)("REL? 1") == "OFF"


def test_the_log_writes_at_its_interval_over_midnight(bench: Bench) -> None:
    bench("DLOG:INT 4;STAT ON")
    bench.after(18.05)
    lines = (bench("DLOG:READ?") or "").split("\r\n")
    assert bench("DLOG:COUN?") == "5"
    assert [line.split(", ")[:3] for line in lines[:-1]] == [
        ["1", "03/14/2026", "23,59,50"],
        ["2", "03/14/2026", "23,59,54"],
        ["3", "03/14/2026", "23,59,58"],
        ["4", "03/15/2026", "00,00,02"],
        ["5", "03/15/2026", "00,00,06"],
    ]
    assert lines[-1] == ";"
    assert all(len(line.split(", ")) == 3 + 4 for line in lines[:-1])
    bench("DLOG:CLEA;RESE;STAT OFF")
    assert bench.after(10.0)("DLOG:COUN?") == "0"


# --- settings ---


def test_only_what_was_saved_outlives_a_restart(bench: Bench) -> None:
    bench('LOOP 1:SETP 65;PGA 3;:INP B:NAM "Cold plate";:SYST:NVS')
    bench("LOOP 1:SETP 50;:CONT;:*RST")
    assert bench("LOOP 1:SETP?;PGA?;:INP B:NAM?;:CONT?") == '65.000000K;3.000000;"Cold plate";OFF'


def test_configurations_are_kept_apart(bench: Bench) -> None:
    bench('LOOP 2:SOUR C;SETP 33;:CONF 4:NAM "Run 12";SAVE;:LOOP 2:SETP 44;:CONF 5:SAVE;:CONF 4:REST')
    assert bench("LOOP 2:SETP?;:CONF 4:NAM?") == '33.000000K;"Run 12"'
    bench("CONF 5:REST")
    assert bench("LOOP 2:SETP?") == "44.000000K"


def test_a_display_unit_changes_numbers_and_not_the_temperature(bench: Bench) -> None:
    bench("LOOP 4:SETP 300;:INP D:ALAR:HIGH 300;DEA 2;:INP D:UNIT C")
    assert bench("LOOP 4:SETP?;:INP D:ALAR:HIGH?;DEA?") == "26.850000C;26.850000;2.000000"
    bench("INP D:UNIT F;:LOOP 4:SETP 32")
    assert bench("INP D:ALAR:HIGH?;DEA?") == "80.330000;3.600000"
    bench("INP D:UNIT K")
    assert bench("LOOP 4:SETP?") == "273.150000K"
    bench("INP D:UNIT S")
    assert bench("INP D:TEMP?") == bench("INP D:SENP?")


def test_a_curve_is_used_when_it_has_been_worked_through(bench: Bench) -> None:
    for line in ("CALCUR 2", "Test diode", "Diode", "-1.0", "volts", "1.2 4.0", "0.5 300", "junk", "1.0 100", ";"):
        assert bench(line) is None
    assert bench("SENS 62:NAM?") == '"User Sensor 2"'
    bench.after(6.0)
    assert bench("SENS 62:NAM?;NENT?;UNIT?;TYP?;MULT?") == '"Test diode";3;Volts;DIODE;-1.000000'
    assert (bench("CALCUR? 2") or "").split("\r\n")[4:] == [
        "0.500000 300.000000", "1.000000 100.000000", "1.200000 4.000000", ";"
    ]  # fmt: skip
    bench("INP A:SENS 62")
    volts = 1.0 + (1.2 - 1.0) * (100.0 - bench.instrument.stages[0].sensed) / (100.0 - 4.0)
    assert bench.number("INP A:SENP?") == pytest.approx(volts, abs=1e-5)


@pytest.mark.parametrize(
    "lines", [("No units", "Diode", "-1", "Kelvin", "1 2", "2 3"), ("Few", "Diode", "-1", "Volts", "1 2"), ("x",)]
)
def test_a_wrong_curve_is_refused_at_its_end(bench: Bench, lines: tuple[str, ...]) -> None:
    for line in ("CALCUR 1", *lines):
        assert bench(line) is None
    assert bench(";") == "NACK"
    assert bench("SENS 61:NAM?") == '"User Sensor 1"'


# --- the command language ---


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("*IDN?", "Cryo-con,24C,204683,3.30A"),
        ("*idn?;", "Cryo-con,24C,204683,3.30A"),
        ("INPUT A:UNITS?", "K"),
        ("inp a:unit?", "K"),
        ("Input CHA:Units?", "K"),
        ("INP 0:UNIT?", "K"),
        (":INP A:UNIT?;:LOOP 1:TYPE?;", "K;PID"),
        ("INP A:UNIT?;NAM?", 'K;"Channel A"'),
        ("LOOP 1:PGAIN?;IGAIN?;DGAIN?", "5.000000;60.000000;0.000000"),
        ("LOOP 1:PGA 2.5e0;PGA?", "2.500000"),
        ("INP A:ALAR:HIGH 250;:INP A:ALAR:HIGHEST?", "250.000000"),
        ('INP A:ALAR:HIGH 250;NAM "x";NAM?', '"x"'),
        ('INP A:NAM "a;b";:INP A:NAM?', '"a;b"'),
        ('SYST:NAM "x:y?";NAM?', '"x:y?"'),
        ("SYSTEM:LOCKOUT ON;LOCKOUT?", "ON"),
        ("*IDN?;CONTROL?", "Cryo-con,24C,204683,3.30A;OFF"),
        ("LOOP 1:SETP?;:*OPC?", "80.000000K;1"),
        ("LOOP 1:TYP?;CONT?", "PID;NACK"),
        ("INP A:UNIT?;INP B:UNIT?", "K;NACK"),
        ("BOGUS", "NACK"),
        ("INP E:TEMP?", "NACK"),
        ("INP A:TE?", "NACK"),
        ("INP A:TEMPERATURES?", "NACK"),
        ("INP A:TEMP 5", "NACK"),
        ("INP A:UNIT X", "NACK"),
        ("LOOP 5:TYP?", "NACK"),
        ("LOOP 1:SETP 1e5", "NACK"),
        ("LOOP 1:SETP nan", "NACK"),
        ("LOOP 1:SETP", "NACK"),
        ("INP A:SENS 69", "NACK"),
        ("SENS 1:NAM \"mine\"", "NACK"),
        ("CONT?;:BOGUS?;:LOOP 2:TYP?", "OFF;NACK;OFF"),
        ("", None),
        (";;", None),
        ("LOOP 1:PGA 1", None),
        ("A" * 256, "NACK"),
    ],
)  # fmt: skip
def test_the_language(bench: Bench, line: str, answer: str | None) -> None:
    assert bench(line) == answer


def test_a_refused_command_leaves_its_mark_in_the_event_status(bench: Bench) -> None:
    assert bench("*ESR?") == "0"
    bench("BOGUS")
    assert bench("*STB?;*ESR?;*ESR?") == "32;32;0"


def test_the_clock_can_be_set(bench: Bench) -> None:
    bench('SYST:DAT "02/28/2027";TIM "12:00:01"')
    assert bench.after(2.0)("SYST:DAT?;TIM?") == '"02/28/2027";"12:00:03"'
    assert bench('SYST:DAT "31/12/2027"') == "NACK"


def test_a_monitor_controls_nothing() -> None:
    bench = Bench("18i")
    assert len((bench("INP? A,B,C,D,E,F,G,H") or "").split(";")) == 8
    assert bench("CONT?;:CONT;:STOP;:LOOP 1:TYP?") == "NACK;NACK;NACK;NACK"


_WORDS = st.sampled_from(
    [
        *'ABCD1234;:?," ',
        "INP",
        "LOOP 1",
        "SETP",
        "UNIT",
        "ALAR",
        "HIGH",
        "CALCUR",
        "*IDN?",
        "AUT",
        "PIDT",
        "TABL",
        "1e9",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_WORDS, max_size=8).map("".join) | st.text(max_size=40), max_size=12))
def test_no_line_whatever_stops_the_instrument(lines: list[str]) -> None:
    bench = Bench()
    for line in lines:
        bench(line)
        bench.after(STEP)
    bench(";")
    assert Session(bench.instrument, TREE).line("*IDN?") == "Cryo-con,24C,204683,3.30A"


_PARAMETERS = ["", "0", "-1", "1", "50", "1e9", "1e-9", "YES", "ON", "AUTO", "TABLE", "SCALE", "RAMPT", "HI", "5V", "A",
               "F", "S", "Logohm", '"x"', '"12/31/9999"', '"02/29/2028"', "9" * 40]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(TREE.entries)),
            st.sampled_from(["", " A", " B", " 1", " 3", " 61", " 99"]),
            st.booleans(),
            st.sampled_from(_PARAMETERS),
        ),
        max_size=25,
    )
)
def test_no_command_of_the_tree_stops_the_instrument(
    commands: list[tuple[tuple[str, ...], str, bool, str]],
) -> None:
    bench = Bench()
    bench("CONT")
    for (root, *rest), index, query, parameter in commands:
        bench(":".join([root + index, *rest]) + ("?" if query else "") + f" {parameter}")
        bench.after(2 * STEP)
    bench(";")
    assert Session(bench.instrument, TREE).line("*IDN?") == "Cryo-con,24C,204683,3.30A"


# --- sockets ---


def test_several_clients_talk_at_once_and_over_udp() -> None:
    async def main() -> None:
        simulator = CryoConSimulator("22C")
        await simulator.start(udp_port=0)
        first = await asyncio.open_connection("127.0.0.1", simulator.port)
        second = await asyncio.open_connection("127.0.0.1", simulator.port)
        first[1].write(b"INP A:NAM")
        second[1].write(b"LOOP 1:TYP?\n")
        assert await second[0].readline() == b"PID\r\n"
        first[1].write(b"?\nBOGUS\n" + b"x" * 9000 + b"\n")
        assert await first[0].readline() == b'"Channel A"\r\n'
        assert await first[0].readline() == b"NACK\r\n"
        assert await first[0].readline() == b"NACK\r\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5.0)

            def ask(line: bytes) -> bytes:
                udp.sendto(line, ("127.0.0.1", simulator.udp_port))
                return udp.recvfrom(1024)[0][:-2]  # as azcam does: the two bytes of the line end cut off

            assert await asyncio.to_thread(ask, b"Loop 1:SETPT 81.5;") == b""
            assert await asyncio.to_thread(ask, b"LOOP 1:SETPT?;") == b"81.500000K"
        port = simulator.port
        await simulator.stop()
        assert await first[0].read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(main())


def test_time_goes_as_fast_as_asked() -> None:
    async def main() -> None:
        async with CryoConSimulator(speed=200.0) as simulator:
            loop = asyncio.get_running_loop()
            begin, was = loop.time(), simulator.instrument.elapsed
            await asyncio.sleep(0.5)
            passed = (simulator.instrument.elapsed - was) / (loop.time() - begin)
            assert 150.0 < passed < 210.0

    asyncio.run(main())


def test_the_simulator_runs_on_a_port_and_the_next() -> None:
    async def main() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        task = asyncio.create_task(run(port, {"model": "18i", "seed": "3", "speed": 2}))
        for _ in range(200):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.02)
        writer.write(b"*IDN?\n")
        assert (await reader.readline()).startswith(b"Cryo-con,18i,")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await reader.read() == b""
        for options, text in (({"modell": "18i"}, "modell"), ({"model": "99"}, "none of 18i"), ({"seed": "x"}, "seed")):
            with pytest.raises(BadValueError, match=text):
                await run(port, options)

    asyncio.run(main())


class InAThread:
    """A simulator that runs in a thread of its own, for clients that block."""

    def __init__(self) -> None:
        self.simulator = CryoConSimulator("24C", start=START)
        self.path = ""
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._main()))

    async def _main(self) -> None:
        async with self.simulator:
            self.path = await self.simulator.open_pty()
            self.port = self.simulator.port
            self._up.set()
            await self._end.wait()

    def __enter__(self) -> InAThread:
        self._thread.start()
        assert self._up.wait(5.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5.0)
        self._loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[InAThread]:
    with InAThread() as simulator:
        yield simulator


async def _exercise(client: Any) -> None:
    """What the ``cryocon`` library of PyPI can do, all over its own connection."""
    assert await client.idn() == "Cryo-con,24C,204683,3.30A"
    assert await client["A"].temperature() == pytest.approx(80.0, abs=3.0)
    assert await client["B"].name("Cold plate") == "Cold plate"
    assert await client["C"].unit() == "K"
    assert await client[1].set_point(77.5) == 77.5
    assert await client[2].proportional_gain(12.5) == 12.5
    assert await client[1].type("RAMPP") == "RAMPP"
    assert await client[1].rate(3) == 3.0
    assert await client[3].range() == "10V"
    assert await client[1].load() == 50
    assert await client[1].autotune_status() == "IDLE"
    assert await client.control(True) is True
    assert await client.lockout("ON") is True
    assert (await client.date()).year == 2026
    async with client as group:
        client.control()
        client["A"].alarm()
        client["D"].temperature()
        for number in (1, 2):
            loop = client[number]
            for member in (
                loop.set_point,
                loop.max_set_point,
                loop.output_voltage,
                loop.output_current,
                loop.temperature,
            ):
                member()
    assert group.replies[:2] == [True, "--"]
    assert group.replies[2] == pytest.approx(290.0, abs=1.0)
    assert group.replies[3:5] == [77.5, 400.0]
    assert await client.control(False) is False


@pytest.mark.parametrize("way", ["tcp", "serial"])
def test_the_cryocon_library_of_pypi_works_with_it(running: InAThread, way: str) -> None:
    async def main() -> None:
        url = f"tcp://127.0.0.1:{running.port}" if way == "tcp" else f"serial://{running.path}"
        connection = connio.connection_for_url(url, concurrency="async")
        client = cryocon.CryoCon(connection)
        client.io_period = 0.0
        await _exercise(client)
        await connection.close()

    asyncio.run(main())
