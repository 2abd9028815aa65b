"""The notebook of the documentation runs from its first cell to its last, in a kernel as Jupyter starts it."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.daqdata.daq_nodes import DaqNodeServer, with_nodes

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "daq_client.ipynb"


@pytest.mark.long
def test_the_notebook_runs_with_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    async def test(node: DaqNodeServer) -> None:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        kernel = NotebookClient(notebook, timeout=90, resources={"metadata": {"path": str(tmp_path)}})
        environment = os.environ | {"DAQ_NODE": node.host, "PYTHONPATH": str(ROOT)}
        await asyncio.to_thread(kernel.execute, env=environment)  # raises what a cell raises
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        text = "".join(output.get("text", "") for output in outputs)
        assert f"{{'{node.host}': True}}" in text
        assert "simulates: True" in text
        assert re.search(r"MOVIE of module 11 2024-07-25 04:34:46\.", text)
        pictures = [output for output in outputs if "image/png" in output.get("data", {})]
        assert len(pictures) >= 2, "live plots and a mean image"

    with_nodes(test, 11)


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]
