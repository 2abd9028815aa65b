"""Where a controller is, as properties have it."""

from __future__ import annotations

from urllib.parse import urlsplit


def endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of ``tcp://HOST:PORT``.

    Raises:
        ValueError: it has another form.
    """
    parts = urlsplit(text)
    if parts.scheme != "tcp" or not parts.hostname or parts.path or parts.query:
        raise ValueError("it is not of the form tcp://HOST:PORT")
    return parts.hostname, parts.port or default_port
