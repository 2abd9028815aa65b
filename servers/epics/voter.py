"""A voter as a device: it says which of several mirrors may serve."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from devices.core import Argument, Device, Properties, attribute, command, poll, setting
from servers.epics.votes import LONGEST, Votes

LEASES = 100


@dataclass(frozen=True)
class LeaseVoterProperties(Properties):
    """How long a vote may last."""

    longest: float = setting(
        4.0, doc="s; no vote lasts longer, and none is given for so long after the start", limits=(1.0, LONGEST)
    )


class LeaseVoter(Device):
    """Gives its vote for each lease to one mirror at a time; the one that has more than half of all votes serves."""

    properties_class = LeaseVoterProperties
    properties: LeaseVoterProperties

    leases = attribute(str, shape=(LEASES,), doc="Each lease that has this vote now, and to whom it was given")

    def build(self) -> None:
        self._votes = Votes(time.monotonic(), self.properties.longest)

    @command(level="expert")
    async def vote(
        self, lease: str, holder: str, seconds: Annotated[float, Argument(unit="s")], number: int
    ) -> dict[str, Any]:
        """Give the vote to who asks when nobody else has it; 0 seconds give it back. Whose it is then."""
        return asdict(self._votes.ask(lease, holder, seconds, number, time.monotonic()))

    @poll(1.0)
    async def poll_leases(self) -> None:
        """Show whose the votes are."""
        given = self._votes.given(time.monotonic())
        self.leases.publish_change(tuple(f"{lease}: {vote.holder}" for lease, vote in sorted(given.items()))[:LEASES])
