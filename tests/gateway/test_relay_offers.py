"""Events for one worker of another gateway process, under any order and loss of messages."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toto_gateway.events.relay_losses import Loss
from toto_gateway.events.relay_messages import Back, Claim, Hand
from toto_testkit.offer_model import Mood, OfferModel

GATEWAYS = 4
STAYING = 3
INDEXES = st.lists(st.integers(0, 50), max_size=20)
SECONDS = st.sampled_from([0.0005, 0.001, 0.002, 0.01, 0.05, 0.2, 0.5, 1.0])
NUMBERS = st.integers(0, GATEWAYS - 1)
MOODS = st.tuples(st.just("mood"), NUMBERS, st.sampled_from(Mood))
OFFERS = st.tuples(st.just("offer"), NUMBERS, st.sampled_from("ab"))
DELIVERIES = st.tuples(st.just("deliver"), st.integers(0, 50), st.none())
LOSSES = st.tuples(st.just("lose"), st.integers(0, 50), st.none())
PAUSES = st.tuples(st.just("advance"), st.just(0), SECONDS)
Step = tuple[str, int, object]


def run(model: OfferModel, steps: list[Step]) -> None:
    for step, number, value in steps:
        if step == "mood":
            assert isinstance(value, Mood)
            model.gateways[number].mood = value
        elif step == "offer":
            model.offer(number, str(value))
        elif step == "deliver":
            model.deliver(number)
        elif step == "lose":
            model.lose(number)
        else:
            assert isinstance(value, float)
            model.advance(value)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(MOODS, OFFERS, DELIVERIES, DELIVERIES, LOSSES, PAUSES), max_size=80), INDEXES
)
def test_never_two_takers(steps: list[Step], indexes: list[int]) -> None:
    """Whatever arrives late, in another order or not at all; and nothing is kept for ever."""
    model = OfferModel(GATEWAYS)
    for gateway in model.gateways[1:]:
        gateway.mood = Mood.TAKES

    run(model, steps)
    model.settle(indexes)

    assert all(count == 1 for count in model.taken.values())
    assert set(model.taken) <= set(model.offered)
    assert len(model.taken) + len(model.lost) <= len(model.offered)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                OFFERS,
                st.tuples(st.just("mood"), st.integers(0, STAYING - 1), st.sampled_from(Mood)),
            ),
            SECONDS,
            INDEXES,
        ),
        max_size=30,
    )
)
def test_one_taker_when_nothing_is_lost(steps: list[tuple[Step, float, list[int]]]) -> None:
    """One process always has a worker, the others do as they like: every event finds a taker."""
    model = OfferModel(GATEWAYS)
    model.gateways[STAYING].mood = Mood.TAKES

    for step, seconds, indexes in steps:
        run(model, [step])
        model.settle(indexes, seconds)
    model.settle([])

    assert model.taken == Counter(model.offered)
    assert model.lost == []


def test_taker_that_comes_while_the_event_is_kept() -> None:
    """A worker that is being restarted gets it, in another process or in that of the origin."""
    for gateway in (0, 2):
        model = OfferModel(3)
        label = model.offer(0)
        model.deliver_all([])
        model.advance(0.1)
        model.deliver_all([])
        assert not model.taken

        model.gateways[gateway].mood = Mood.TAKES
        model.settle([])

        assert model.gateways[gateway].taken == [label]


def test_nobody_takes_it() -> None:
    """It is offered four times, and dropped after a second with its name."""
    model = OfferModel(2)
    model.offer(0, "nobody's")
    offers = 0
    began_at = model.now

    while model.gateways[0].exchange.next_due is not None:
        offers += len(model.on_the_way)
        model.deliver_all([])
        due_at = model.gateways[0].exchange.next_due
        model.advance(due_at - model.now)

    assert offers == 4
    assert model.now == pytest.approx(began_at + 1.0)
    assert model.lost == [(Loss.NOT_TAKEN, "nobody's")]


def test_processes_take_turns() -> None:
    """Each name has its own round, and a process that comes later is the next one."""
    model = OfferModel(4)
    for gateway in model.gateways[1:3]:
        gateway.mood = Mood.TAKES
    for _ in range(3):
        for name in "ab":
            model.offer(0, name)
            model.settle([])
    model.gateways[3].mood = Mood.TAKES
    first, *_ = [model.offer(0, "a") for _ in range(3)]
    model.settle([])

    names = ["".join(label[0] for label in gateway.taken) for gateway in model.gateways]
    assert names == ["", "ababa", "aba", "a"]
    assert model.gateways[3].taken == [first]


def test_claims_are_gathered() -> None:
    """The first claim alone does not get the event: the second comes from further away."""
    model = OfferModel(3)
    for gateway in model.gateways[1:]:
        gateway.mood = Mood.TAKES
    exchange = model.gateways[0].exchange
    hands: list[int] = []

    for first, second in ((b"g1", b"g2"), (b"g1", b"g2"), (b"g1", b"g2")):
        model.offer(0)
        number = len(model.offered)
        exchange.receive(Claim(first, number))
        model.advance(0.0015)
        exchange.receive(Claim(second, number))
        assert [kind for _, _, kind in model.on_the_way].count(False) == len(hands)
        model.advance(0.0006)
        hands = [gateway.number for gateway, _, is_offer in model.on_the_way if not is_offer]

    assert hands == [1, 2, 1]


def test_event_that_comes_back() -> None:
    """It goes to the next claimer at once, also to one whose claim came after the choice."""
    model = OfferModel(4)
    model.gateways[1].mood = Mood.LATE
    model.gateways[2].mood = Mood.LATE
    label = model.offer(0)
    model.deliver(0)  # the offer to 1
    model.deliver(2)  # its claim
    model.advance(0.002)  # handed to 1
    model.gateways[3].mood = Mood.TAKES
    now = model.now

    model.deliver_all([])

    assert model.now == now
    assert model.gateways[3].taken == [label]


def test_event_that_comes_back_too_late() -> None:
    """It is lost, and that is told: the process it came from keeps it for a second only."""
    model = OfferModel(2)
    model.gateways[1].mood = Mood.LATE
    model.offer(0)
    model.deliver(0)  # the offer
    model.deliver(0)  # the claim
    model.advance(0.002)  # handed to 1
    model.advance(1.0)
    assert model.gateways[0].exchange.next_due is None

    model.deliver_all([])

    assert model.lost == [(Loss.NOT_TAKEN, "")]


def test_only_the_holder_gives_back() -> None:
    """An answer to an earlier handing, or a stranger's, gives nobody an event that another has."""
    model = OfferModel(3)
    exchange = model.gateways[0].exchange
    model.offer(0)
    for claimer in (b"g1", b"g2"):
        exchange.receive(Claim(claimer, 1))
    model.advance(0.002)
    assert exchange.receive(Back(b"g2", 1, 1)) == []

    [second] = exchange.receive(Back(b"g1", 1, 1))
    assert second.gateway_id == b"g2"
    exchange.receive(Claim(b"g1", 1))
    [third] = exchange.receive(Back(b"g2", 1, 2))
    assert third == (b"g1", Hand(b"g0", 1, 3, "e", b"e 0"))
    exchange.receive(Claim(b"g2", 1))

    assert exchange.receive(Back(b"g1", 1, 1)) == []
    assert exchange.receive(Back(b"g1", 1, 2)) == []


def test_room_is_bounded() -> None:
    """Too many, or too much, are dropped; what was handed out makes room first."""
    for size, kept in ((10, 10_000), (500_000, 33)):
        model = OfferModel(2)
        for _ in range(kept):
            model.offer(0, size=size)
        model.on_the_way.clear()
        assert model.lost == []

        model.offer(0, size=size)
        assert model.lost == [(Loss.NO_ROOM, "e")]
        model.gateways[0].exchange.receive(Claim(b"g1", 5))
        model.advance(0.002)
        model.offer(0, size=size)
        model.offer(0, size=size)

        assert model.lost == [(Loss.NO_ROOM, "e")] * 2


def test_closing() -> None:
    """A process that closes claims nothing, gives back what it is handed, and tells its losses."""
    model = OfferModel(3)
    for gateway in model.gateways[1:]:
        gateway.mood = Mood.TAKES
    model.gateways[2].exchange.stop_taking()
    hand = Hand(b"g0", 1, 1, "e", b"p")
    model.offer(2, "left over")

    answers = model.gateways[2].exchange.receive(hand)
    for _ in range(4):
        model.offer(0)
    model.deliver_all([])
    model.advance(0.002)
    model.gateways[2].exchange.close()
    model.gateways[2].exchange.close()
    model.settle([])

    assert [type(answer.message).__name__ for answer in answers] == ["Back"]
    assert model.gateways[2].taken == []
    assert len(model.gateways[1].taken) == 5
    assert model.lost == []
