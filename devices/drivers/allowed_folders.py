"""The folders whose files clients may name: a path is followed to where it really leads before it is judged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.core.errors import NotAllowedError


@dataclass(frozen=True)
class AllowedFolders:
    """Confines paths; the folders need not exist yet.

    Args:
        folders: the first one is where relative paths start.
    """

    folders: Sequence[Path]

    def resolve(self, path: str | Path) -> Path:
        """The real path behind ``path``: no link and no ``..`` is left in it; it need not exist.

        Raises:
            NotAllowedError: it leads outside the folders.
        """
        named = self.folders[0] / path
        real = Path(os.path.realpath(named))
        if not any(real.is_relative_to(os.path.realpath(folder)) for folder in self.folders):
            leads = f"{path} leads to {real}, " if real != named else f"{path} is "
            allowed = ", ".join(map(str, self.folders))
            raise NotAllowedError(f"{leads}outside the folders that are allowed here: {allowed}")
        return real
