"""Who is told of an alarm: by mail or webhook, in a thread of its own, again and again until it is taken."""

from __future__ import annotations

import json
import logging
import queue
import smtplib
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from http.client import HTTPException
from typing import Final

from servers.alarms.alarm_list import Recipient
from servers.alarms.annunciator import Notice

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
RETRY_S: Final = 30.0
GIVE_UP_S: Final = 24 * 3600.0
MAX_WAITING: Final = 1000


class Notices(threading.Thread):
    """Tells recipients; :meth:`tell` returns at once.

    Args:
        recipients: by name.
        title: of the facility.
    """

    def __init__(self, recipients: Mapping[str, Recipient], title: str, retry_s: float = RETRY_S) -> None:
        super().__init__(name="alarm-notices", daemon=True)
        self.recipients = recipients
        self._title, self._retry_s = title, retry_s
        self._new: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()
        self._waiting: deque[tuple[Notice, Recipient]] = deque(maxlen=MAX_WAITING)
        self._problems: dict[str, str] = {}

    @property
    def problem(self) -> str:
        """Who could not be told when it was tried last, and why; empty when all were."""
        return "; ".join(self._problems.copy().values())

    def tell(self, notice: Notice) -> None:
        """Have somebody told; in any thread."""
        self._new.put(notice)

    def close(self) -> None:
        """End; who could not be told by now is not told."""
        self._new.put(None)
        if self.is_alive():
            self.join(TIMEOUT_S + 1.0)

    def run(self) -> None:
        while True:
            try:
                notice = self._new.get(timeout=self._retry_s if self._waiting else None)
            except queue.Empty:
                self._try_all()
                continue
            if notice is None:
                return
            self._waiting.extend((notice, self.recipients[name]) for name in notice.tell if name in self.recipients)
            self._try_all()

    def _try_all(self) -> None:
        for _ in range(len(self._waiting)):
            notice, recipient = self._waiting.popleft()
            try:
                problem = send(notice, recipient, self._title)
            except (OSError, smtplib.SMTPException, HTTPException, ValueError) as error:
                problem = f"{recipient.name} cannot be told: {error}"
                if time.time() - notice.time_s < GIVE_UP_S:
                    self._waiting.append((notice, recipient))
            if problem:
                log.warning("%s: %s", notice.alarm, problem)
                self._problems[recipient.name] = problem
            else:
                self._problems.pop(recipient.name, None)


def send(notice: Notice, recipient: Recipient, title: str) -> str:
    """Tell one recipient; returns which addresses of it were refused, empty when none was.

    Raises:
        OSError, SMTPException, HTTPException: it was not taken.
    """
    if recipient.webhook:
        _post(notice, recipient.webhook, title)
        return ""
    refused = _mail(notice, recipient, title)
    return f"{recipient.name}: refused by {recipient.server}: {', '.join(refused)}" if refused else ""


def _post(notice: Notice, address: str, title: str) -> None:
    content = {"facility": title, **asdict(notice)}
    content.pop("tell")
    request = urllib.request.Request(  # noqa: S310 - the schema of the alarm list wants http or https
        address, json.dumps(content).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310  # nosec B310
        pass


def _mail(notice: Notice, recipient: Recipient, title: str) -> list[str]:
    """Send it; returns the addresses that were refused while others were not."""
    message = EmailMessage()
    message["Subject"] = " ".join(f"{title}: {notice.severity} {notice.alarm}: {notice.text}".split())[:200]
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.time_s).astimezone())
    message["From"], message["To"] = recipient.sender, ", ".join(recipient.mail)
    when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(notice.time_s))
    lines = [f"{notice.severity}: {notice.alarm}", notice.text, f"since {when}"]
    lines += [f"device {notice.device}"] if notice.device else []
    lines += ["", notice.guidance] if notice.guidance else []
    message.set_content("\n".join(lines))
    host, _, port = recipient.server.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=TIMEOUT_S) as server:
        return list(server.send_message(message))
