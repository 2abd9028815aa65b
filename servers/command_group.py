"""Commands, and the group that all ``diptych`` commands belong to: what went wrong is a clear line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

BROKEN_PIPE_EXIT = 141  # 128 + SIGPIPE, as other programs end there


class OneLineCommand(click.Command):
    """A command whose errors are clear lines on stderr and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # who read the output has seen enough, as `head` does
            silence_output()
            ctx.exit(BROKEN_PIPE_EXIT)
        except Exception as error:
            lines = error_lines(error)
            if not lines:
                raise  # a fault of the program: its traceback is wanted
        for line in lines:
            click.echo(f"error: {line}", err=True)
        ctx.exit(1)


class OneLineErrors(OneLineCommand, click.Group):
    """A group of such commands."""


def silence_output() -> None:
    """Nobody reads it any more: what is still in the buffers goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def error_lines(error: Exception) -> list[str]:
    """What to show of an error; nothing for one that nobody raised on purpose."""
    from devices.core.errors import ConfigurationError, DiptychError

    if isinstance(error, ConfigurationError):
        return [f"{error.subject}: {problem}" for problem in error.problems]
    if isinstance(error, DiptychError):
        return [str(error)]
    if isinstance(error, OSError):
        return [f"{error.filename or type(error).__name__}: {error.strerror or error}"]
    tango = sys.modules.get("tango")
    if tango is not None and isinstance(error, tango.DevFailed):
        first = error.args[0]
        return [f"{first.reason}: {' '.join(first.desc.split())}"]
    return []
