"""A script that runs, followed in a terminal: where it is, what it asks, and Ctrl-C, which pauses it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from devices.core.errors import DiptychError, NotAllowedError
from devices.core.operation_error import operation_error
from servers.ccd_client import CcdClient
from servers.observing.table import duration

PERIOD: Final = 0.3
QUESTION: Final = "resume, skip this row, abort, or leave it paused [r/s/a/l]"
ANSWERS: Final = {"r": "resume", "s": "skip", "a": "abort", "l": "leave"}


class Left(Exception):
    """The operator leaves it paused, or running."""


class Follower:
    """Shows one run until it ends.

    Args:
        observer: the observer device.
        identity: of the operation.
    """

    def __init__(self, observer: CcdClient, identity: str, console: Console) -> None:
        self._observer, self._identity, self._console = observer, identity, console
        self._asks = sys.stdin.isatty()
        self._shown = ""
        self._pausing = False

    def until_end(self) -> dict[str, Any]:
        """Its result.

        Raises:
            Left: nobody watches any more; it goes on, or waits. DiptychError: why it ended.
        """
        is_interrupted = False
        while True:
            try:
                if is_interrupted:
                    is_interrupted = False
                    self._interrupted()
                return self._watched()
            except KeyboardInterrupt:
                is_interrupted = True

    def _watched(self) -> dict[str, Any]:
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
        # Where nobody looks, a line for each thing that is new does better.
        with Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bar:
            task = bar.add_task("", total=100.0)
            while (status := self._status())["state"] not in ("DONE", "FAILED", "ABORTED"):
                self._show(bar, task, status)
                if self._observer.get("paused"):
                    self._answer(bar)
                time.sleep(PERIOD)
        return _result(status)

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self._observer.call("operation_status", self._identity))
        return status

    def _show(self, bar: Progress, task: Any, status: dict[str, Any]) -> None:
        left = self._observer.get("time_left")
        bar.update(task, completed=status["progress"], description=f"{status['message']}, {duration(left)} left")
        if not self._console.is_terminal and status["message"] != self._shown:
            self._shown = status["message"]
            self._console.print(self._shown, markup=False, highlight=False)

    def _interrupted(self) -> None:
        if self._pausing:
            self._observer.abort()
            self._console.print("aborted")
            return
        self._pausing = True
        try:
            self._observer.pause()
        except NotAllowedError:
            return  # it has just ended
        self._console.print("it pauses when the present image is there; Ctrl-C once more aborts it")

    def _answer(self, bar: Progress) -> None:
        """Ask the operator, where there is one; otherwise somebody answers elsewhere."""
        self._pausing = False
        question = str(self._observer.get("question"))
        if not question or not self._asks:
            return
        bar.stop()
        self._console.print(question, markup=False, style="bold")
        answer = ""
        while answer not in ANSWERS:
            try:
                typed = click.prompt(QUESTION, prompt_suffix=" ", err=True)
            except click.Abort:  # Ctrl-C, or the end of the terminal
                raise Left from None
            answer = typed.strip().casefold()[:1]
        if answer == "l":
            raise Left
        try:
            self._observer.call(*(("abort", "") if answer == "a" else (ANSWERS[answer],)))
        except NotAllowedError as error:  # somebody else answered before
            self._console.print(str(error), markup=False)
        bar.start()


def _result(status: dict[str, Any]) -> dict[str, Any]:
    if status["state"] == "DONE":
        found: dict[str, Any] = status["result"]
        return found
    if status["state"] == "ABORTED":
        raise DiptychError("the script was aborted")
    raise operation_error(status["error"])
