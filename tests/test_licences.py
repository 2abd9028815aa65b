"""Nothing that a facility runs with has a licence that nobody has looked at."""

from __future__ import annotations

import re
from importlib.metadata import Distribution

from tests.support.runtime_packages import runtime_packages

FREE = re.compile(
    r"\b(0BSD|Apache|BSD|BSL-1\.0|CC0-1\.0|EPICS|HPND|ISC|MIT|PSF-2\.0|Python Software Foundation|Unlicense|Zlib)\b",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"GPL|General Public License", re.IGNORECASE)
#: Packages whose licence asks for more than to be named, or whose metadata do not say it, and why they are here.
LOOKED_AT = {
    "pytango": "LGPL: imported as a library, unchanged",
    "pytango-db": "LGPL-3.0-or-later: a program of its own",
    "psycopg": "LGPL-3.0-only: imported as a library, unchanged; extra `history`",
    "psycopg-binary": "LGPL-3.0-only: see psycopg",
    "hdbscan": "BSD-3-Clause by its repository; its metadata say `OSI Approved`",
    "hdf5plugin": "MIT and those of the compressors that it brings, by its repository; needed by fabio",
}


def licence(distribution: Distribution) -> str:
    metadata = distribution.metadata
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License")]
    return metadata.get("License-Expression") or " ".join(classifiers) or (metadata.get("License") or "")[:80]


def test_every_package_has_a_licence_that_was_looked_at() -> None:
    packages = runtime_packages()
    assert {"numpy", "pytango", "aiohttp", "caproto", "p4p"} <= packages.keys()
    unknown = {
        name: licence(each)
        for name, each in packages.items()
        if name not in LOOKED_AT and (not FREE.search(licence(each)) or COPYLEFT.search(licence(each)))
    }
    assert not unknown


def test_what_was_looked_at_is_still_needed() -> None:
    assert set(LOOKED_AT) <= runtime_packages().keys()
