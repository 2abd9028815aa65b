"""The recipes of docs/epics-clients.md, run as they stand there against the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo_facility import Facility
from tests.support.serving import ROOT, wait_until

pytestmark = pytest.mark.timeout(300)

PAGE = ROOT / "docs" / "epics-clients.md"
REFUSED = "RangeError: CRYO1:Rate1 = 5000.0"
#: title -> (the module that it needs, the set point that it leaves behind, K)
RECIPES = {
    "Command line": ("caproto", "81.5"), "caproto": ("caproto", "82.5"), "pyepics": ("epics", "83.5"),
    "aioca": ("aioca", "84.5"), "p4p": ("p4p", "85.5"), "ophyd": ("ophyd", "86.5"),
    "ophyd-async": ("ophyd_async", "87.5"),
}  # fmt: skip
FILES = {"python": [sys.executable, "recipe.py"], "sh": ["bash", "recipe.py"]}


def recipe(title: str) -> tuple[str, str]:
    """The language and the text of the first block below a title."""
    found = re.search(rf"^### {re.escape(title)}$.*?^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1], found[2]


def test_every_recipe_is_run() -> None:
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    recipes = next(text for text in section if text.startswith("Recipes\n"))
    assert re.findall(r"^### (.+)$", recipes, re.MULTILINE) == list(RECIPES)


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_moves_the_set_point_and_is_told_why_a_rate_is_refused(
    facility: Facility, title: str, tmp_path: Path
) -> None:
    module, kelvin = RECIPES[title]
    pytest.importorskip(module, reason=f"{module} is not installed")
    language, text = recipe(title)
    (tmp_path / "recipe.py").write_text(text)
    done = subprocess.run(
        FILES[language], cwd=tmp_path, env=facility.environment, capture_output=True, text=True, timeout=60.0
    )
    assert done.returncode == 0, done.stderr
    assert kelvin in done.stdout and "K" in done.stdout.split(kelvin, 1)[1], done
    assert REFUSED in done.stdout, done
    wait_until(lambda: facility.get("CRYO1:Setpoint1_RBV") == kelvin, 5.0, "the hardware has it")
