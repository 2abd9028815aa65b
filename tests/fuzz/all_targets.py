"""All parsers of what comes from outside."""

from __future__ import annotations

from tests.fuzz import clients, files, instruments, services

TARGETS = [*services.TARGETS, *clients.TARGETS, *instruments.TARGETS, *files.TARGETS]
