"""Which known name a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Text to put behind an error about an unknown ``name``: the nearest known name, or all of them when few."""
    names = sorted(known)
    folded = {each.casefold(): each for each in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    if near:
        return f"; did you mean {folded[near[0]]}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 12 else ""
