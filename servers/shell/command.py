"""``diptych shell`` itself: IPython, or one command and out."""

from __future__ import annotations

import importlib.util
import runpy
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from devices.core.errors import NotAllowedError, NotConnectedError
from servers.facility import record
from servers.facility.environment import adopt
from servers.facility.place import database_of
from servers.facility.ports import Ports
from servers.shell.names import names_of

BANNER: Final = "Tab completes. db.tools, db.devices; exposure.expose(2.0, 'flat', 'a title'); plot(display.image)"


def run(state_dir: Path, tango_host: str | None, *, mock: bool, startup: Path | None, code: str | None) -> None:
    """Open a shell and return when it is left.

    Args:
        mock: start a simulated camera when no facility runs.
        startup: a script that is run in the shell's names before anything else.
        code: run this instead of a prompt.
    Raises:
        NotConnectedError: no facility runs here. NotAllowedError: IPython is not installed.
    """
    if code is None and importlib.util.find_spec("IPython") is None:
        raise NotAllowedError("a shell needs IPython: pip install diptych[shell]; or give it --command")
    with ExitStack() as stack:
        if mock and not tango_host and record.running(state_dir) is None:
            from servers.shell.mock import mock_camera

            host = stack.enter_context(mock_camera(state_dir / "mock")).tango_host
        else:
            host = database_of(state_dir, tango_host)
        adopt(Ports(), host)
        names = names_of(host)
        if not names["db"].devices:
            raise NotConnectedError(f"no device of {host} answers: {names['db'].missing or 'there is none'}")
        if startup is not None:
            made = runpy.run_path(str(startup), init_globals=names, run_name="__main__")
            names |= {name: value for name, value in made.items() if not name.startswith("__")}
        if code is not None:
            exec(compile(code, "--command", "exec"), names)  # noqa: S102 - a person's own shell  # nosec B102
        else:
            _prompt(names)


def _prompt(names: dict[str, Any]) -> None:
    import IPython
    from traitlets.config import Config

    config = Config()
    config.TerminalInteractiveShell.banner1 = f"{BANNER}\n{', '.join(sorted(names['db'].tools)) or 'no camera'}\n"
    # Attributes of devices are read to be completed: Jedi would guess at what they are.
    config.Completer.use_jedi = False
    IPython.start_ipython(argv=[], user_ns=names, config=config)
