"""Which workers a gateway gives an event to."""

import logging
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toto._wire.messages import Hello, Subscribe
from toto_gateway.dispatch.events import EventRoutes
from toto_gateway.dispatch.link import Link


def link(epoch: int) -> Link:
    return Link(b"w%d" % epoch, epoch, Hello(b"w", 1, "host", (), 1, 1))


A, B, C = link(1), link(2), link(3)


def subscribed(*links: Link) -> EventRoutes:
    """Return routes where these links wait for ``e``."""
    routes = EventRoutes()
    for each in links:
        routes.subscribe(each, Subscribe(("e",)))
    return routes


def test_a_broadcast_goes_to_all_subscribers_of_its_name() -> None:
    """And to nobody else."""
    routes = subscribed(A, B)
    routes.subscribe(C, Subscribe(("other",)))

    assert routes.subscribers("e") == [A, B]
    assert routes.subscribers("other") == [C]
    assert routes.subscribers("unknown") == []


def test_subscribers_take_turns() -> None:
    """A broadcast in between does not change whose turn it is, another name has its own round."""
    routes = subscribed(A, B, C)
    routes.subscribe(A, Subscribe(("other",)))

    turns = [routes.next_subscriber("e") for _ in range(4)]
    routes.subscribers("e")
    other = routes.next_subscriber("other")

    assert turns == [A, B, C, A]
    assert other is A
    assert routes.next_subscriber("e") is B
    assert routes.next_subscriber("unknown") is None


def test_names_come_and_go() -> None:
    """A name that is told again keeps its place in the round; one that is unknown may go."""
    routes = subscribed(A, B)

    routes.subscribe(A, Subscribe(("e", "new")))
    assert routes.next_subscriber("e") is A
    routes.subscribe(A, Subscribe((), ("e", "unknown")))

    assert routes.subscribers("e") == [B]
    assert routes.subscribers("new") == [A]
    routes.subscribe(A, Subscribe((), ("new",)))
    assert routes.subscribers("new") == []


def test_a_first_subscription_replaces_all_before() -> None:
    """A name that stays keeps its place in the round."""
    routes = subscribed(A, B)
    routes.subscribe(A, Subscribe(("old",)))

    routes.subscribe(A, Subscribe(("e", "new"), is_first=True))

    assert routes.next_subscriber("e") is A
    assert routes.subscribers("new") == [A]
    assert routes.subscribers("old") == []


def test_events_of_other_hosts_go_to_those_who_are_at_home_here() -> None:
    """Each subscription says whether the worker still is."""
    routes = subscribed(A, B)
    routes.subscribe(A, Subscribe((), is_home=True))
    routes.subscribe(C, Subscribe(("e",), is_first=True, is_home=True))

    assert routes.subscribers_at_home("e") == [A, C]
    routes.subscribe(A, Subscribe(()))
    routes.forget(C)
    assert routes.subscribers_at_home("e") == []
    assert routes.subscribers("e") == [A, B]


def test_a_worker_that_drains_gets_broadcasts_only() -> None:
    """Also when it is the only one, or subscribes anew."""
    routes = subscribed(A, B)
    routes.drain(A)

    assert [routes.next_subscriber("e") for _ in range(3)] == [B, B, B]
    routes.forget(B)
    routes.subscribe(A, Subscribe(("e", "more")))
    assert not routes.has_subscriber("e")
    assert routes.next_subscriber("e") is None
    assert routes.next_subscriber("more") is None
    assert routes.subscribers("e") == [A]


def test_a_worker_that_is_gone_is_forgotten() -> None:
    """With all its names; one that never subscribed may go as well."""
    routes = subscribed(A, B)
    routes.drain(A)

    routes.forget(A)
    routes.forget(C)
    routes.subscribe(A, Subscribe(("e",)))

    assert [routes.next_subscriber("e") for _ in range(2)] == [B, A]


def test_a_worker_has_a_hundred_thousand_names_at_most(caplog: pytest.LogCaptureFixture) -> None:
    """Those beyond are left out, with a line in the log."""
    caplog.set_level(logging.ERROR)
    routes = EventRoutes()

    routes.subscribe(A, Subscribe(tuple(f"e{number}" for number in range(100_001))))

    assert routes.subscribers("e99999") == [A]
    assert routes.subscribers("e100000") == []
    assert [line.getMessage() for line in caplog.records] == [
        "worker 1 on host subscribes to more than 100000 events; 'e100000' is left out"
    ]


@dataclass
class Model:
    """What the routes must know, in the plainest form."""

    names: dict[int, set[str]] = field(default_factory=dict)
    draining: set[int] = field(default_factory=set)

    def epochs(self, name: str) -> set[int]:
        return {epoch for epoch, names in self.names.items() if name in names}


NAMES = st.sets(st.sampled_from("abc"))
STEPS = st.lists(
    st.tuples(st.sampled_from(["subscribe", "drain", "forget", "one"]), st.integers(1, 4), NAMES),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_an_event_goes_to_live_subscribers_only(steps: list[tuple[str, int, set[str]]]) -> None:
    """After any history; and a round gives each of those that stay one turn."""
    routes, model = EventRoutes(), Model()
    for step, epoch, names in steps:
        if step == "subscribe":
            routes.subscribe(link(epoch), Subscribe(tuple(names), is_first=True))
            model.names[epoch] = names
        elif step == "drain":
            routes.drain(link(epoch))
            model.draining.add(epoch)
        elif step == "forget":
            routes.forget(link(epoch))
            model.names.pop(epoch, None)
            model.draining.discard(epoch)
        for name in names:
            staying = model.epochs(name) - model.draining
            assert {each.epoch for each in routes.subscribers(name)} == model.epochs(name)
            turns = [routes.next_subscriber(name) for _ in staying]
            assert {each.epoch for each in turns if each is not None} == staying
            assert staying or routes.next_subscriber(name) is None
