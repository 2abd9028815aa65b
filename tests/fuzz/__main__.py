"""``python -m tests.fuzz [EXAMPLES [WORD]]``: feed every parser, or those with WORD in their name; one row for each."""

from __future__ import annotations

import logging
import sys
import traceback

from tests.fuzz import services
from tests.fuzz.all_targets import TARGETS
from tests.fuzz.target import feed


def main(examples: int = 2000, word: str = "") -> int:
    """Print one row for each parser; the number of parsers that failed."""
    failed = 0
    total = 0
    logging.disable()  # what was refused is counted
    print(f"| {'what comes from outside':34} | {'read by':28} | examples | refused | slowest, ms | seconds |")
    print(f"|{'-' * 36}|{'-' * 30}|---------:|--------:|------------:|--------:|")
    for target in TARGETS:
        if word.casefold() not in target.name.casefold():
            continue
        try:
            found = feed(target, examples)
        except Exception:
            failed += 1
            print(f"| {target.name:34} | {target.module:28} | FAILED", flush=True)
            traceback.print_exc(limit=-3, file=sys.stdout)
            continue
        total += found.examples
        print(
            f"| {target.name:34} | {target.module:28} | {found.examples:8} | {found.refused:7} "
            f"| {found.slowest_s * 1000:11.1f} | {found.seconds:7.1f} |",
            flush=True,
        )
    print(f"{total} examples; {failed} parsers failed")
    services.close()
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, *sys.argv[2:3])))
