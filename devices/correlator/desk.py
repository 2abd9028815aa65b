"""What the search process is made from, for those who start it and need none of its libraries themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devices.correlator.plan import Setup
    from devices.correlator.worker import SearchDesk


def make_worker(setup: Setup) -> SearchDesk:
    """What answers in the search process."""
    from devices.correlator.worker import SearchDesk  # it imports torch: a second and 200 MB

    return SearchDesk(setup)
