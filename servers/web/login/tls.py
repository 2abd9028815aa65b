"""TLS by certificate files."""

from __future__ import annotations

import ssl
import stat

from devices.core.errors import ConfigurationError
from servers.facility.web_settings import WebSettings


def tls_context(settings: WebSettings) -> ssl.SSLContext | None:
    """What the server speaks TLS with; None when it does not.

    Raises:
        ConfigurationError: the files do not hold a certificate and its key, or everybody can read the key.
    """
    if settings.certificate is None or settings.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load(context, settings)
    return context


def load(context: ssl.SSLContext, settings: WebSettings) -> None:
    """Let new connections have what the files hold now.

    Raises:
        ConfigurationError: see :func:`tls_context`.
    """
    assert settings.certificate is not None and settings.key is not None
    try:
        mode = stat.S_IMODE(settings.key.stat().st_mode)
        if mode & stat.S_IRWXO:
            text = f"mode {mode:03o} is open to everybody on this host: chmod {mode & ~stat.S_IRWXO:03o} it"
            raise ConfigurationError(str(settings.key), [text])
        # A password would be asked for at a terminal, and there is none.
        context.load_cert_chain(settings.certificate, settings.key, password="")  # nosec B106
    except ssl.SSLError as error:
        why = f"are not a certificate and its key, as PEM without a password: {error.reason or error}"
        raise ConfigurationError(f"{settings.certificate}, {settings.key.name}", [why]) from error
    except OSError as error:
        raise ConfigurationError(str(error.filename or settings.certificate), [str(error.strerror)]) from error
