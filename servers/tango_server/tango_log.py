"""The log of a device, in Tango's own logging too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servers.tango_server.tango_device import TangoDevice


class TangoLogHandler(logging.Handler):
    """Passes the records of one device on to its Tango logging streams."""

    def __init__(self, device: TangoDevice) -> None:
        super().__init__()
        self._device = device

    def emit(self, record: logging.LogRecord) -> None:
        # A percent sign in the text must not be taken for a format.
        text = self.format(record)
        if record.levelno >= logging.CRITICAL:
            self._device.fatal_stream("%s", text)
        elif record.levelno >= logging.ERROR:
            self._device.error_stream("%s", text)
        elif record.levelno >= logging.WARNING:
            self._device.warn_stream("%s", text)
        elif record.levelno >= logging.INFO:
            self._device.info_stream("%s", text)
        else:
            self._device.debug_stream("%s", text)


def forward_logs(device: TangoDevice) -> None:
    """Send what the model device logs to Tango logging, once."""
    logger = logging.getLogger(f"diptych.{device.get_name()}")
    for handler in list(logger.handlers):
        if isinstance(handler, TangoLogHandler):
            logger.removeHandler(handler)
    logger.addHandler(TangoLogHandler(device))
