"""A whole facility as processes: its files, its database, what starts, watches and stops them."""

from pathlib import Path
from typing import Final

DEFAULT_STATE_DIR: Final = Path("var")
