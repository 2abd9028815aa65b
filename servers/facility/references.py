"""References in a facility file: ``@sim.cryocon1`` is an endpoint, ``@port.ca`` a port, ``@state/saxs`` a path.

``@here`` is the folder of the facility file itself.

Rejected: literal ports in properties, which ``--port-offset`` cannot shift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devices.core.errors import UnknownNameError
from servers.facility.ports import Ports

# An @ behind a letter or digit (user@host) is text; @@ stands for one @.
_REFERENCE: Final = re.compile(r"@@|(?<![\w@])@(?P<name>[A-Za-z]\w*(?:\.\w+)*)")


def resolve(text: str, ports: Ports, folders: Mapping[str, Path]) -> tuple[str, list[str]]:
    """Put values in the place of references.

    Args:
        text: one line of a property.
        ports: the shifted port table.
        folders: what ``@state`` and ``@here`` stand for.

    Returns:
        The text, and one line for each reference that is not known (which stays as it was).
    """
    problems: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "@"
        if name in folders:
            return str(folders[name])
        try:
            if name.startswith("port."):
                return str(ports[name.removeprefix("port.")])
            return ports.endpoint(name)
        except UnknownNameError as error:
            problems.append(f"@{name}: {error}")
            return match[0]

    return _REFERENCE.sub(value, text), problems
