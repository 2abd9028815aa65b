"""The report of a campaign: a table for people, and everything for programs."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.campaign import WRONG_S, Outcome
from tests.faults.ledger import REFUSED


def write(
    folder: Path, facts: Mapping[str, str], outcomes: Sequence[Outcome], acknowledged: Mapping[str, int],
    memory: Mapping[str, Mapping[str, Any]], notes: Sequence[str],
) -> str:  # fmt: skip
    """``report.json`` and ``report.md``; the text of the latter."""
    everything = {
        "facts": dict(facts),
        "acknowledged": dict(acknowledged),
        "faults": [each.as_dict() for each in outcomes],
        "memory": memory,
        "notes": list(notes),
    }
    (folder / "report.json").write_text(json.dumps(everything, indent=1))
    text = "\n\n".join(
        [
            "# Faults",
            "\n".join(f"- {name}: {value}" for name, value in facts.items()),
            fault_table(outcomes),
            counted(acknowledged),
            "\n".join(troubles(outcomes)) or "Nothing was lost, nothing wrong was shown as good, everything recovered.",
            memory_table(memory),
            "\n".join(f"- {note}" for note in notes),
        ]
    )
    (folder / "report.md").write_text(text + "\n")
    return text


def counted(acknowledged: Mapping[str, int]) -> str:
    """How much was acknowledged, and how much was not, which may have been done or not."""
    done = {kind: count for kind, count in sorted(acknowledged.items()) if kind != REFUSED}
    text = ", ".join(f"{count} {kind}s" for kind, count in done.items()) or "nothing"
    return f"Acknowledged: {text}; {acknowledged.get(REFUSED, 0)} puts and images were not."


def fault_table(outcomes: Sequence[Outcome]) -> str:
    rows = [
        f"| fault | times | PVs hit | recovery, median | worst | longest shown good | wrong (> {WRONG_S:g} s) | lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(each.kind for each in outcomes):
        some = [each for each in outcomes if each.kind == kind]
        times = [each.recovery_s for each in some if each.recovery_s is not None]
        never = len(some) - len(times)
        cells = (
            kind,
            str(len(some)),
            str(max(each.hit for each in some)),
            f"{statistics.median(times):.1f} s" if times else "-",
            worst_of(some) + (f", {never} not at all" if never else ""),
            f"{max(each.oldest_s for each in some):.1f} s",
            str(sum(len(each.wrong) for each in some)),
            str(sum(len(each.lost) for each in some)),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def worst_of(some: Sequence[Outcome]) -> str:
    found = [(each.recovery_s, each.name) for each in some if each.recovery_s is not None]
    return "{:.1f} s ({})".format(*max(found)) if found else "-"


def memory_table(memory: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ["| process | lives | begin | end | most | slope |", "|---|---|---|---|---|---|"]
    for name, row in memory.items():
        slope = row["slope_mb_per_h"]
        cells = (
            name,
            str(row["lives"]),
            *(f"{row[key]:.0f} MB" for key in ("begin_mb", "end_mb", "most_mb")),
            "lived too shortly" if slope is None else f"{slope:+.1f} MB/h",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def troubles(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        f"- {each.at} {each.kind}, {each.name}: {text}"
        for each in outcomes
        for text in (*each.wrong, *each.lost, *each.still_bad)
    ]


def machine() -> str:
    return f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f} over the last 15 minutes"
