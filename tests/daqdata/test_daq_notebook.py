"""The notebook of the documentation runs from its first cell to its last."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.daqdata.daq_nodes import DaqNodeServer, with_nodes

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "daq_client.ipynb"


def test_the_notebook_runs_with_a_node(tmp_path: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")

    async def test(node: DaqNodeServer) -> None:
        found = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "ignore::UserWarning", "-c", program],  # a figure of Agg cannot be shown
            cwd=tmp_path,
            env=os.environ | {"DAQ_NODE": node.host, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=90.0,
        )
        assert found.returncode == 0, found.stderr
        assert f"{{'{node.host}': True}}" in found.stdout
        assert "simulates: True" in found.stdout
        assert "MOVIE of module 11 2024-07-25 04:34:46." in found.stdout

    with_nodes(test, 11)


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]
