"""The key ``web`` of a facility file: where the panels are served, to whom, and how people log in."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from devices.core.errors import BadValueError
from servers.facility import address
from servers.facility.duration import seconds_of

Role = Literal["view", "operate", "expert"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
EVERYBODY: Final = "*"  # in the place of a name
IDLE_S: Final = 2 * 3600.0
ABSOLUTE_S: Final = 12 * 3600.0


@dataclass(frozen=True)
class ForwardedUser:
    """A proxy of the site that has logged people in: the header with the name, and whom it is believed from."""

    header: str
    proxies: tuple[Network, ...]


@dataclass(frozen=True)
class WebSettings:
    """Where the web server listens, and who may use it.

    Attributes:
        bind: the IPv4 address to listen on.
        names: host names by which browsers reach it, beside its addresses.
        origins: origins of pages that may use it beside its own, ``https://panels.site``: behind a proxy.
        certificate, key: PEM files for TLS; both or none.
        tls_proxies: TLS ends at a proxy: peers that may connect, every one when empty. None: at no proxy.
        users: a file of ``htpasswd``; ``tokens``, one of ``NAME:TOKEN``.
        roles: of persons by name; one without is ``view``.
        idle_s, absolute_s: a session ends so long after the person last did something, and after the login; s.
        forwarded_user: who logged in at a proxy, or None.
        is_anonymous: whoever reaches it may look without a login.
    """

    bind: str = address.LOOPBACK
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    tls_proxies: tuple[Network, ...] | None = None
    users: Path | None = None
    tokens: Path | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    idle_s: float = IDLE_S
    absolute_s: float = ABSOLUTE_S
    forwarded_user: ForwardedUser | None = None
    is_anonymous: bool = False

    @property
    def has_logins(self) -> bool:
        """Whether there is any way to log in."""
        return bool(self.users or self.tokens or self.forwarded_user)

    @property
    def asks_who(self) -> bool:
        """Whether not everybody who reaches it may do everything."""
        return self.has_logins or self.is_anonymous

    @property
    def scheme(self) -> str:
        return "https" if self.certificate else "http"

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it through TLS."""
        return self.certificate is not None or self.tls_proxies is not None


def web_settings(content: Mapping[str, Any], folder: Path) -> tuple[WebSettings, list[str]]:
    """What the key says and what is wrong with it, all of it; paths are relative to ``folder``."""
    problems: list[str] = []

    def path(key: str) -> Path | None:
        if key not in content:
            return None
        found = Path(os.path.normpath(folder / content[key]))
        if not found.is_file():
            problems.append(f"web > {key}: there is no file {found}")
        return found

    def networks(texts: list[str], *keys: str) -> tuple[Network, ...]:
        found = []
        for text in texts:
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError as error:
                problems.append(f"{' > '.join(('web', *keys))}: {error}")
        return tuple(found)

    def seconds(key: str, usual: float) -> float:
        try:
            found = seconds_of(content["session"][key]) if key in content.get("session", {}) else usual
        except BadValueError as error:
            problems.append(f"web > session > {key}: {error}")
            return usual
        if not found > 0.0:
            problems.append(f"web > session > {key}: must be more than 0 s")
        return found

    bind = content.get("bind", address.LOOPBACK)
    try:
        address.check(bind)
    except BadValueError as error:
        problems.append(f"web > {error}")
        bind = address.LOOPBACK
    forwarded, behind = content.get("forwarded_user"), content.get("behind_tls_proxy", False)
    groups = {name: tuple(members) for name, members in content.get("groups", {}).items()}
    settings = WebSettings(
        bind=bind,
        names=tuple(content.get("names", ())),
        origins=tuple(content.get("origins", ())),
        certificate=path("certificate"),
        key=path("key"),
        tls_proxies=networks(behind if isinstance(behind, list) else [], "behind_tls_proxy") if behind else None,
        users=path("users"),
        tokens=path("tokens"),
        roles=content.get("roles", {}),
        groups=groups,
        idle_s=seconds("idle", IDLE_S),
        absolute_s=seconds("absolute", ABSOLUTE_S),
        forwarded_user=ForwardedUser(
            forwarded.get("header", "X-Forwarded-User"), networks(forwarded["from"], "forwarded_user", "from")
        )
        if forwarded
        else None,
        is_anonymous="anonymous" in content,
    )
    return settings, problems + _contradictions(settings)


def _contradictions(settings: WebSettings) -> list[str]:
    """What cannot be meant, and what would be open to everybody."""
    problems = []
    for origin in settings.origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            problems.append(f"web > origins: {origin} is not of the form https://HOST or https://HOST:PORT")
    for name in settings.roles:
        if name.startswith("@") and name[1:] not in settings.groups:
            problems.append(f"web > roles: there is no group {name[1:]}")
    for first, second in (("certificate", "key"), ("key", "certificate")):
        if getattr(settings, first) and not getattr(settings, second):
            problems.append(f"web > {first}: TLS needs {second}, too")
    if settings.certificate and settings.tls_proxies is not None:
        problems.append("web > behind_tls_proxy: TLS ends here (certificate) or at a proxy, not at both")
    if not address.is_open(settings.bind):
        return problems
    where = f"web > bind: {settings.bind} is open to other hosts"
    if not settings.asks_who:
        problems.append(
            f"{where}, and nobody would have to log in; add users, tokens or forwarded_user, or say anonymous: view"
        )
    if not settings.is_secure:
        problems.append(
            f"{where}, and passwords would go as plain text; add certificate and key, or say behind_tls_proxy: "
            f"[ADDRESS] where a proxy speaks TLS"
        )
    return problems
