"""Leases: votes, and that never two mirrors serve, whatever is lost, late or started again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from devices.core.errors import BadValueError, ConfigurationError, RangeError
from servers.epics.lease import BELIEVED, PERIOD, RETRY, TIMEOUT, Lease, check
from servers.epics.votes import Answer, Votes

SECONDS = 3.0
LONGEST = 4.0


def test_a_vote_is_one_holder_s_until_its_time_is_over() -> None:
    votes = Votes(100.0, LONGEST)
    ready = 100.0 + LONGEST
    assert votes.ask("a", "one", SECONDS, 1, ready) == Answer("one", SECONDS, True)
    assert votes.ask("a", "two", SECONDS, 2, ready + 2.9) == Answer("one", pytest.approx(0.1), True)
    assert votes.ask("b", "two", SECONDS, 3, ready + 2.9).holder == "two", "another lease"
    assert votes.ask("a", "two", SECONDS, 4, ready + 3.0) == Answer("two", SECONDS, True)
    assert set(votes.given(ready + 3.0)) == {"a", "b"}


def test_a_voter_that_was_started_gives_no_vote_while_one_of_before_may_hold() -> None:
    votes = Votes(100.0, LONGEST)
    assert votes.ask("a", "one", SECONDS, 1, 100.0 + LONGEST - 0.01) == Answer("", 0.0, False)


def test_a_vote_is_given_back_by_its_holder_alone_and_not_by_a_request_that_comes_late() -> None:
    votes = Votes(0.0, LONGEST)
    assert votes.ask("a", "one", SECONDS, 5, 10.0).holder == "one"
    assert votes.ask("a", "two", 0.0, 6, 10.0).holder == "one"
    assert votes.ask("a", "one", 0.0, 4, 10.0).holder == "one", "it was asked before the vote was"
    assert votes.ask("a", "one", 0.0, 7, 10.0).holder == ""


def test_what_could_never_be_decided_is_refused() -> None:
    votes = Votes(0.0, LONGEST)
    with pytest.raises(BadValueError, match="holder = ''"):
        votes.ask("a", "", SECONDS, 1, 10.0)
    with pytest.raises(RangeError, match=r"seconds = 4.5 s is outside \[0, 4\] s"):
        votes.ask("a", "one", 4.5, 1, 10.0)
    for voters, text in (
        ((), "no lease_voters"),
        (("v/v/1", "V/v/1", "v/v/2"), "twice"),
        (("v/v/1", "v/v/2"), "2 are"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            check("a", voters)


def test_a_vote_that_is_being_given_back_counts_no_more_when_the_next_one_arrives() -> None:
    told: list[float] = []
    now = [0.0]
    lease = Lease(
        "a",
        "one",
        ["v/v/1", "v/v/2", "v/v/3"],
        SECONDS,
        extend=told.append,
        has_ended=lambda: True,
        clock=lambda: now[0],
    )
    first, second, _ = lease.voters
    mine = {"holder": lease.holder, "is_ready": True}
    lease.answered(first, mine, 0.0, SECONDS)
    assert not told, "one of three votes"
    now[0] = 0.9  # two voters are silent, so this one is told that nobody wants its vote
    assert lease.request(first, 0.9) == 0.0
    lease.answered(second, mine, 0.9, SECONDS)
    assert not told, "the first vote may be another's by now"
    lease.answered(first, mine, 0.9, SECONDS)
    assert told == [0.9 + BELIEVED * SECONDS]


@dataclass
class Mirror:
    """A mirror of the simulated world: its lease, and its doors, which need a while to shut."""

    world: World
    number: int
    rate: float  # of its clock
    begun: float
    shuts_in: float = 0.9 * SECONDS * (1.0 - BELIEVED)  # s
    until: float = -1e9
    shut_at: float = -1e9  # in the world's time, when the last connection ends
    lease: Lease = field(init=False)

    def __post_init__(self) -> None:
        self.lease = Lease(
            "facility",
            f"mirror/epics/{self.number} life {self.world.lives}",
            [f"v/v/{number}" for number in range(3)],
            SECONDS,
            extend=self.extend,
            has_ended=lambda: self.world.now >= self.shut_at,
            clock=lambda: self.clock,
        )
        self.world.lives += 1

    @property
    def clock(self) -> float:
        return self.begun + self.rate * self.world.now

    def extend(self, until: float) -> None:
        self.until = max(self.until, until)
        self.shut_at = self.world.now + (self.until - self.clock) / self.rate + self.shuts_in


class World:
    """Two mirrors and three voters, each with a clock of its own, and a network that loses and delays."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now, self.lives = 0.0, 0
        self.events: list[tuple[float, int, object]] = []
        self.rates = [self.random.uniform(0.99, 1.01) for _ in range(3)]
        self.votes = [Votes(0.0, LONGEST) for _ in range(3)]
        self.away: dict[tuple[str, int], float] = {}  # until when a link or a process is gone
        self.mirrors = [self.new_mirror(number) for number in range(2)]
        self.taken: list[int] = []  # who served, in turn

    def new_mirror(self, number: int) -> Mirror:
        return Mirror(self, number, self.random.uniform(0.99, 1.01), self.random.uniform(0.0, 1e6))

    def at(self, after: float, what: object) -> None:
        self.events.append((self.now + after, self.random.randrange(1 << 30), what))

    def run(self, seconds: float) -> None:
        for mirror in self.mirrors:
            for voter in range(3):
                self.at(self.random.uniform(0.0, PERIOD), lambda m=mirror, v=voter: self.ask(m, v))
        self.at(self.random.expovariate(1 / 4.0), self.trouble)
        while self.events and self.now < seconds:
            self.events.sort()
            self.now, _, what = self.events.pop(0)
            what()  # type: ignore[operator]
            self.judge()

    def judge(self) -> None:
        serving = [mirror.number for mirror in self.mirrors if self.now < mirror.shut_at]
        assert len(serving) < 2, f"both serve at {self.now} s"
        if serving and (not self.taken or self.taken[-1] != serving[0]):
            self.taken.append(serving[0])

    def ask(self, mirror: Mirror, voter: int) -> None:
        """As a voter's thread does it: one request at a time."""
        if mirror is not self.mirrors[mirror.number]:
            return  # of a former life
        begun, seconds = mirror.clock, mirror.lease.request(mirror.lease.voters[voter], mirror.clock)
        number, out = int(begun * 1e9), self.delay()
        back, timeout = self.delay(), TIMEOUT / mirror.rate
        answers = out + back < timeout and not self.is_away(mirror.number, voter)

        def arrives() -> None:  # also when nobody waits for the answer any more
            answer = self.votes[voter].ask(
                "facility", mirror.lease.holder, seconds, number, self.now * self.rates[voter]
            )
            if answers:
                self.at(back, lambda: returns(answer))

        def returns(answer: Answer) -> None:
            if mirror is self.mirrors[mirror.number]:
                found = {"holder": answer.holder, "is_ready": answer.is_ready}
                mirror.lease.answered(mirror.lease.voters[voter], found, begun, seconds)

        if answers or self.random.random() < 0.5:
            self.at(out, arrives)
        self.at(max(PERIOD, out + back) if answers else timeout + RETRY, lambda: self.ask(mirror, voter))

    def delay(self) -> float:
        return self.random.expovariate(1 / 0.01) if self.random.random() < 0.9 else self.random.uniform(0.0, 3.0)

    def is_away(self, mirror: int, voter: int) -> bool:
        return any(self.away.get(key, 0.0) > self.now for key in (("link", 3 * mirror + voter), ("voter", voter)))

    def trouble(self) -> None:
        """A link is cut, a voter or a mirror is killed and started again."""
        chance, mirror, voter = self.random.random(), self.random.randrange(2), self.random.randrange(3)
        if chance < 0.5:
            self.away["link", 3 * mirror + voter] = self.now + self.random.uniform(0.5, 10.0)
        elif chance < 0.6:
            for each in range(3):
                self.away["link", 3 * mirror + each] = self.now + self.random.uniform(5.0, 10.0)
        elif chance < 0.8:
            self.votes[voter] = Votes(self.now * self.rates[voter], LONGEST)
        else:
            self.mirrors[mirror].shut_at = self.now
            self.mirrors[mirror] = self.new_mirror(mirror)
            for each in range(3):
                self.at(self.random.uniform(0.0, 2.0), lambda v=each: self.ask(self.mirrors[mirror], v))
        self.at(self.random.expovariate(1 / 4.0), self.trouble)


@pytest.mark.parametrize("seed", range(6))
def test_never_do_two_mirrors_serve_whatever_is_lost_late_or_started_again(seed: int) -> None:
    world = World(seed)
    world.run(300.0)
    assert {0, 1} <= set(world.taken), "each of them served for a while"


def test_without_trouble_one_mirror_gets_the_lease_soon_and_keeps_it() -> None:
    world = World(3)
    world.trouble = lambda: None  # type: ignore[method-assign]
    world.delay = lambda: 0.005  # type: ignore[method-assign]
    world.run(60.0)
    assert len(world.taken) == 1
    assert world.mirrors[world.taken[0]].shut_at > 60.0
