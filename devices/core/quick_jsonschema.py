"""jsonschema, without the grammar of URIs that it loads where it finds one.

Some environments have the package rfc3987_syntax (Jupyter brings it, and makers of software lists). jsonschema imports
it for a format that no schema here has, which takes 1.5 s of each process (measured): half a minute of a facility.
"""

from __future__ import annotations

import sys

_GRAMMAR = "rfc3987_syntax"

_is_absent = _GRAMMAR not in sys.modules
if _is_absent:
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]  # an import of it fails, which jsonschema allows for
import jsonschema  # noqa: E402
import jsonschema.exceptions  # noqa: E402
import jsonschema.validators  # noqa: E402

if _is_absent:
    del sys.modules[_GRAMMAR]

__all__ = ["jsonschema"]
