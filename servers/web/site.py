"""What all sockets of the web server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from servers.epics.audit import Audit
from servers.web.channels import Channels
from servers.web.directory import Directory


@dataclass
class Site:
    """One facility as its pages see it.

    Attributes:
        audit: of logins, and of writes that are refused here.
        alarms: prefix of the alarm device's PVs; "" where there is none.
        tokens: of the pages that are connected; an image socket shows one of them.
    """

    facility: str
    version: str
    channels: Channels
    directory: Directory
    audit: Audit
    alarms: str = ""
    tokens: set[str] = field(default_factory=set)
