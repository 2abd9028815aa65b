"""Programs of Debian packages, which a machine may have or not."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """The path of a program; without it the test is skipped, and fails where continuous integration installs it.

    Args:
        name: the program's name, or its path where that is not in PATH.
        package: the Debian package that has it.
    """
    # Servers lie in /usr/sbin, which is not in everybody's PATH.
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/lib/tango"]))
    if found is None:
        missing = f"{name} is missing: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return found
