"""Tcl itself, in a process of its own: an interpreter that another thread frees ends its process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

SCRIPT = """
import json, sys, tkinter
for line in sys.stdin:
    kind, text = json.loads(line)
    tcl = tkinter.Tcl()
    try:
        answer = list(tcl.splitlist(text)) if kind == "split" else str(tcl.eval(text))
    except tkinter.TclError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


class RealTclError(Exception):
    """Tcl refuses it."""


class RealTcl:
    """Splits lists and runs scripts, each in a new interpreter."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def split(self, text: str) -> list[str]:
        return list(self._ask("split", text))

    def eval(self, script: str) -> str:
        return str(self._ask("eval", script))

    def close(self) -> None:
        self._process.communicate(timeout=10.0)

    def _ask(self, kind: str, text: str) -> object:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([kind, text]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, dict):
            raise RealTclError(answer["error"])
        return answer


@pytest.fixture(scope="module")
def real_tcl() -> Iterator[RealTcl]:
    if importlib.util.find_spec("_tkinter") is None:
        pytest.skip("this Python has no tkinter, and so no Tcl")
    tcl = RealTcl()
    yield tcl
    tcl.close()
