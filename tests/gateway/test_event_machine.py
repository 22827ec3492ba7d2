"""Events between the product's own desks and dispatch clients, under any order of deliveries."""

from collections import Counter, deque
from collections.abc import Callable
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from toto._core.event_port import ArrivedEvent
from toto._core.event_table import EventTable, Registration
from toto_testkit.dispatch_model import TURNS_MAX, Cluster, ModelWorker
from toto_worker.event_link import EventLink
from toto_worker.ports import LinkPort

WORKERS = 4
STAYING = 0
"""The worker that waits for every event from the first to the last."""
Inbox = deque[Callable[[], None]]


class Listener:
    """The handlers of one worker, whose transport thread moves when the test says so."""

    def __init__(self, worker: ModelWorker) -> None:
        self.table = EventTable()
        self.inbox: Inbox = deque()
        self.heard: list[str] = []
        self._link = EventLink(worker.desk.events, self.inbox.append)
        worker.desk.events.deliver_to(self._receive, lambda: None)

    def register(self, name: str, *, persist: bool) -> None:
        registration = Registration(name, self.heard.append, is_persistent=persist)
        self.table.add(registration)
        self._tell()

    def remove(self, name: str) -> None:
        for registration in self.table.take(name):
            self.table.remove(registration)
        self._tell()

    def publish(self, name: str, label: str, *, is_broadcast: bool) -> None:
        self._link.publish(name, label.encode(), is_broadcast)

    def run_inbox(self) -> None:
        while self.inbox:
            self.inbox.popleft()()

    def _receive(self, event: ArrivedEvent) -> bool:
        taken = self.table.take(event.name)
        if taken:
            self.heard.append(event.payload.decode())
        self._tell()
        return bool(taken)

    def _tell(self) -> None:
        self._link.subscribe(self.table.take_changes())


class Model:
    """Two gateways and four workers."""

    def __init__(self) -> None:
        self.cluster = Cluster(gateways=2, workers=WORKERS, threads=1, seed=1)
        self.listeners = [Listener(worker) for worker in self.cluster.workers]
        self.sent: list[tuple[str, bool]] = []
        for channel in self.cluster.channels:
            channel.worker.desk.events.link_up(cast("LinkPort", channel.far_end))
        for name in "ab":
            self.listeners[STAYING].register(name, persist=True)
        self.settle()

    def publish(self, worker: int, name: str, *, is_broadcast: bool) -> None:
        label = f"{name} {worker} {len(self.sent)}"
        self.sent.append((label, is_broadcast))
        self.listeners[worker].publish(name, label, is_broadcast=is_broadcast)

    def deliver(self, number: int) -> None:
        """Let one message arrive, on a channel and in a direction chosen by the number."""
        channels = self.cluster.channels
        channel = channels[number // 2 % len(channels)]
        if number % 2 and channel.to_worker:
            channel.deliver_to_worker()
        elif channel.far_end.outgoing:
            channel.deliver_to_gateway()

    def settle(self) -> None:
        """Let everything arrive; it must come to an end."""
        for _ in range(TURNS_MAX):
            for listener in self.listeners:
                listener.run_inbox()
            self.cluster.deliver_all()
            if not any(listener.inbox for listener in self.listeners):
                return
        raise AssertionError("events go round in circles")

    def step(self, step: str, worker: int, name: str, number: int) -> None:
        """Do one thing."""
        listener = self.listeners[worker]
        if step in ("once", "persist"):
            listener.register(name, persist=step == "persist")
        elif step == "remove" and worker != STAYING:
            listener.remove(name)
        elif step in ("one", "all"):
            self.publish(worker, name, is_broadcast=step == "all")
        elif step == "inbox":
            listener.run_inbox()
        elif step == "deliver":
            for offset in range(3):
                self.deliver(number + offset)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["once", "persist", "remove", "one", "one", "all", "inbox", "deliver"]),
        st.integers(0, WORKERS - 1),
        st.sampled_from("ab"),
        st.integers(0, 100),
    ),
    max_size=120,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_no_event_is_lost_or_doubled(steps: list[tuple[str, int, str, int]]) -> None:
    """Handlers come and go while events are on their way. One for a single worker reaches exactly
    one, since one always waits; a broadcast reaches that one, and every other at most once."""
    model = Model()

    for step in steps:
        model.step(*step)
    model.settle()

    heard = Counter(label for listener in model.listeners for label in listener.heard)
    staying = set(model.listeners[STAYING].heard)
    assert all(heard[label] == 1 for label, is_broadcast in model.sent if not is_broadcast)
    assert all(label in staying for label, is_broadcast in model.sent if is_broadcast)
    for listener in model.listeners:
        assert len(set(listener.heard)) == len(listener.heard)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_broadcasts_of_one_sender_stay_in_order(steps: list[tuple[str, int, str, int]]) -> None:
    """In every worker, whatever overtakes what between two different senders."""
    model = Model()

    for step in steps:
        model.step(*step)
    model.settle()

    orders = {label: n for n, (label, is_broadcast) in enumerate(model.sent) if is_broadcast}
    for listener in model.listeners:
        for sender in range(WORKERS):
            mark = f" {sender} "
            sent = [orders[label] for label in listener.heard if label in orders and mark in label]
            assert sent == sorted(sent)
