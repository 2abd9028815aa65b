"""What docs/observing.md shows is a script, in each form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devices.ccd.observing.row import COMMANDS, FIELDS
from devices.ccd.observing.script import Equipment, Script

TEXT = (Path(__file__).parents[2] / "docs" / "observing.md").read_text()
CAMERA = Equipment(("zero", "flat", "dark", "object"), 3600.0, ("clear", "B", "V"), has_telescope=True)


@pytest.mark.parametrize(("form", "images"), [("csv", 14), ("yaml", 11), ("txt", 3)])
def test_the_scripts_shown_are_good(form: str, images: int) -> None:
    blocks = re.findall(rf"^```{form}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    assert Script.parse(f"shown.{form}", blocks[0], CAMERA).images == images


def test_every_column_and_command_is_explained() -> None:
    shown = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE))))
    assert shown >= {*FIELDS, *COMMANDS}
