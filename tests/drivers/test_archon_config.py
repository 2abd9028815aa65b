"""Configuration files of an Archon."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ConfigurationError, RangeError, UnknownNameError
from devices.drivers.archon_config import (
    LARGEST_PARAMETER,
    ArchonConfiguration,
    FrameMode,
    Tap,
    apply_commands,
    format_configuration,
    parse_configuration,
    read_configuration_file,
    split_time,
)

SHIPPED = Path(__file__).parents[2] / "dbconfig" / "ccd" / "archon.acf"

ACF = """[SYSTEM]
BACKPLANE_TYPE=1
[CONFIG]
LINECOUNT=50
MOD5\\CLAMP1=0.5
TAPLINES=3
TAPLINE0="AD1L, 1.5, -20"
TAPLINE1="AD2R, 1.0, 0"
TAPLINE2=
PARAMETERS=2
PARAMETER0="Exposures=0"
PARAMETER1="IntMS=1000"
LINE0="X; IF Exposures CALL \\"Expose\\""
"""


def test_keys_of_modules_have_a_slash_on_the_wire_and_values_no_quotes() -> None:
    lines = parse_configuration(ACF).lines
    assert lines[0] == "LINECOUNT=50"
    assert lines[1] == "MOD5/CLAMP1=0.5"
    assert lines[3] == "TAPLINE0=AD1L, 1.5, -20"
    assert lines[-1] == 'LINE0=X; IF Exposures CALL "Expose"'


def test_parameters_and_taps_are_taken_apart() -> None:
    configuration = parse_configuration(ACF)
    assert configuration.parameters == {"Exposures": 0, "IntMS": 1000}
    assert configuration.taps == [Tap("AD1L", 1.5, -20.0), Tap("AD2R", 1.0, 0.0)]  # an empty one is not in use
    assert [tap.reversed for tap in configuration.taps] == [False, True]
    assert configuration.frame_mode is FrameMode.TOP
    assert configuration.system == {"BACKPLANE_TYPE": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "[CONFIG]\nMOD5/CLAMP1=0.5\nMOD5/GAIN=2\n",
        "[CONFIG]\n[MOD5]\nCLAMP1 = 0.5\nGAIN = 2\n",
        "\ufeff; made by hand\n[config]\n# of module 5\nMOD5/CLAMP1 = 0.5\r\nMOD5\\GAIN= 2\r\n",
    ],
)
def test_an_ncf_may_write_keys_and_sections_in_other_ways(text: str) -> None:
    assert parse_configuration(text).lines == ["MOD5/CLAMP1=0.5", "MOD5/GAIN=2"]


def test_a_parameter_is_changed_in_its_own_line_whatever_its_case() -> None:
    configuration = parse_configuration(ACF)
    assert configuration.set_parameter("INTMS", 1500) == (8, "PARAMETER1=IntMS=1500")
    assert configuration.parameters["IntMS"] == 1500


def test_a_parameter_has_20_bits() -> None:
    with pytest.raises(RangeError, match=r"IntMS = 1048576 is outside \[0, 1048575\]"):
        parse_configuration(ACF).set_parameter("IntMS", 1 << 20)


def test_what_is_not_there_is_named() -> None:
    configuration = parse_configuration(ACF)
    with pytest.raises(UnknownNameError, match=r"NoIntMS.*Exposures, IntMS"):
        configuration.set_parameter("NoIntMS", 1)
    with pytest.raises(UnknownNameError, match="PIXELCOUNT"):
        configuration["PIXELCOUNT"]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"line 2, 'nonsense'.*line 4, '=3'"):
        parse_configuration("[CONFIG]\nnonsense\nA=1\n=3\n")
    with pytest.raises(ConfigurationError, match=r"no section \[CONFIG\]"):
        parse_configuration("[SYSTEM]\nBACKPLANE_TYPE=1\n")
    with pytest.raises(ConfigurationError, match="a occurs twice"):
        parse_configuration("[CONFIG]\nA=1\na=2\n")


def test_the_memory_has_16384_lines() -> None:
    assert len(ArchonConfiguration((f"LINE{n}", "") for n in range(16384))) == 16384
    with pytest.raises(ConfigurationError, match="16385 lines are more than 16384"):
        ArchonConfiguration((f"LINE{n}", "") for n in range(16385))


def test_a_tap_that_cannot_be_understood_is_shown() -> None:
    with pytest.raises(BadValueError, match=r"TAPLINE0 = 'AD1L'"):
        _ = parse_configuration("[CONFIG]\nTAPLINES=1\nTAPLINE0=AD1L\n").taps


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.acf: No such file"):
        read_configuration_file(tmp_path / "gone.acf")


def test_an_old_file_in_latin_1_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.acf").write_bytes(b"[CONFIG]\nMOD1\\NAME=Z\xfcrich\n")
    assert read_configuration_file(tmp_path / "old.acf")["MOD1/NAME"] == "Zürich"


def test_the_shipped_configuration_has_what_exposures_need() -> None:
    configuration = read_configuration_file(SHIPPED)
    assert len(configuration.taps) == 4
    assert {"Exposures", "IntMS", "NoIntMS", "SweepCount", "ReadOut"} <= configuration.parameters.keys()


_keys = st.from_regex(r"(MOD[1-9]/)?[A-Z][A-Z0-9_]{0,12}", fullmatch=True)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.strip)


@given(st.dictionaries(_keys, _values, min_size=1, max_size=20))
def test_a_configuration_that_was_written_reads_the_same(values: dict[str, str]) -> None:
    configuration = ArchonConfiguration(values.items())
    assert parse_configuration(format_configuration(configuration)).lines == configuration.lines


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        parse_configuration(text)
    except ConfigurationError as error:
        assert error.problems


@given(st.integers(0, 100 * 24 * 3600 * 1000))
def test_a_time_is_the_product_of_two_parameters_to_better_than_a_millionth(milliseconds: int) -> None:
    count, multiplier = split_time(milliseconds)
    assert 0 <= count <= LARGEST_PARAMETER
    assert 1 <= multiplier <= LARGEST_PARAMETER
    assert abs(count * multiplier - milliseconds) <= max(milliseconds * 1e-6, 0)


def test_common_long_exposures_are_exact() -> None:
    assert split_time(1_000_000) == (1_000_000, 1)
    assert split_time(3_600_000) == (900_000, 4)  # one hour
    with pytest.raises(RangeError, match="time = -1 ms"):
        split_time(-1)


@pytest.mark.parametrize(
    ("keys", "commands"),
    [
        (["PARAMETER3", "LINECOUNT", "PIXELCOUNT"], ["APPLYCDS", "LOADPARAMS"]),
        (["MOD10/HEATERATARGET", "mod4/ENABLE1"], ["APPLYMOD10", "APPLYMOD4"]),
        (["TRIGOUTFORCE"], ["APPLYSYSTEM"]),
        (["LINE7", "PARAMETER1"], ["APPLYALL"]),
        (["PARAMETERS"], ["APPLYALL"]),
        ([], []),
    ],
)
def test_no_more_is_applied_than_was_changed(keys: list[str], commands: list[str]) -> None:
    assert apply_commands(keys) == commands
