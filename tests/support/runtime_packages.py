"""The packages that a facility runs with: those of all extras for users, and what these need, as installed here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def runtime_packages(name: str = "diptych", extras: tuple[str, ...] = ("all",)) -> dict[str, metadata.Distribution]:
    """Name -> what is installed; without the project itself, and without what is for other systems."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, extras)]
    seen = set()
    while waiting:
        package, wanted = waiting.pop()
        if (package, wanted) in seen:
            continue
        seen.add((package, wanted))
        try:
            distribution = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue  # an optional one for another system
        found[canonicalize_name(package)] = distribution
        waiting += [(canonicalize_name(each.name), tuple(sorted(each.extras))) for each in _needs(distribution, wanted)]
    del found[canonicalize_name(name)]
    return dict(sorted(found.items()))


def _needs(distribution: metadata.Distribution, extras: tuple[str, ...]) -> Iterator[Requirement]:
    for text in distribution.requires or ():
        each = Requirement(text)
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield each


if __name__ == "__main__":
    for name, distribution in runtime_packages().items():
        print(f"{name}=={distribution.version.partition('+')[0]}")
