"""Triggers: the programs that are told of candidates."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import psutil
import pytest

from devices.core.errors import BadValueError
from devices.correlator.hooks import Hook, Hooks
from devices.pipelines.candidates.candidate import Candidate
from tests.support.running import until

PULSE = Candidate(
    name="261121aaab",
    isot="2026-11-21T03:12:04.215",
    mjd=61000.1334,
    y=12,
    x=31,
    dm_index=3,
    width_index=1,
    sample=-2,
    snr=11.5,
    dm=333.9,
    width_s=0.268,
    ra_deg=math.nan,
    dec_deg=math.nan,
    members=7,
    rfi_probability=0.02,
    injected=False,
    complete=True,
)


def test_a_program_gets_the_candidate_as_json_without_a_shell(tmp_path: Path) -> None:
    told = tmp_path / "told $(touch never) file"

    async def work() -> None:
        hooks = Hooks((Hook.parse(f"program: /usr/bin/tee '{told}'"),), 10.0)
        hooks.start()
        hooks.tell(PULSE, device="corr/test/1")
        await until(lambda: hooks.told, "it is told", 20.0)
        await hooks.stop()

    asyncio.run(work())
    found = json.loads(told.read_text())
    assert (found["name"], found["snr"], found["sample"], found["device"]) == ("261121aaab", 11.5, -2, "corr/test/1")
    assert found["ra_deg"] is None, "NaN is no JSON"
    assert [path.name for path in tmp_path.iterdir()] == [told.name]


def test_a_function_of_the_site_is_called_and_what_it_raises_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site_hooks.py").write_text(
        "import pathlib\n"
        "def note(candidate):\n    pathlib.Path(__file__).with_name('noted').write_text(candidate['name'])\n"
        "def refuse(candidate):\n    raise RuntimeError('no antenna is free')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def work() -> None:
        hooks = Hooks((Hook.parse("python: site_hooks:refuse"), Hook.parse("python: site_hooks:note")), 20.0)
        hooks.start()
        hooks.tell(PULSE)
        await until(lambda: hooks.told + hooks.failed == 2, "both are run", 30.0)
        await hooks.stop()
        assert (hooks.told, hooks.failed) == (1, 1), "one that fails does not stop the next"
        assert "no antenna is free" in hooks.problem

    asyncio.run(work())
    assert (tmp_path / "noted").read_text() == "261121aaab"


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = tmp_path / "hang.sh"
    program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! $$ > {pids}.part\nmv {pids}.part {pids}\nwait\n")
    program.chmod(0o755)

    async def work() -> None:
        hooks = Hooks((Hook.parse(f"program: {program}"),), 2.0)
        hooks.start()
        hooks.tell(PULSE)
        await until(lambda: hooks.failed, "it is given up", 20.0)
        assert "within 2 s" in hooks.problem
        await hooks.stop()

    asyncio.run(work())
    for pid in map(int, pids.read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "text", ["", "tee /tmp/x", "program: tee x", "program:", "python: os.system", "python: os;x:y", "program: '/bin/a"]
)
def test_what_is_no_hook_is_refused(text: str) -> None:
    with pytest.raises(BadValueError, match=r"program: /absolute|quotation"):
        Hook.parse(text)
