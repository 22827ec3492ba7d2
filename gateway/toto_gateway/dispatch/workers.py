"""The workers a gateway process knows, and what it knows of their free capacity. No I/O."""

from collections.abc import Iterable, Iterator
from random import Random

from toto._wire.constants import LANES
from toto._wire.messages import MethodInfo, Slots
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.pending import PendingCall

__all__ = ["IdleSet", "WorkerGroup", "WorkerTable", "WorkerView"]


class WorkerView:
    """One connected worker process.

    A slot report and a call may cross on the wire. What the worker had received when it counted is
    part of the report, so ``available`` is the reported number less the calls it could not have
    known of.
    """

    __slots__ = (
        "ahead_blocked",
        "calls",
        "capacity",
        "fast",
        "free",
        "group",
        "is_draining",
        "link",
        "received",
        "sent",
        "slow",
        "wants",
    )

    def __init__(self, link: Link, group: "WorkerGroup") -> None:
        self.link = link
        self.group = group
        self.capacity = (link.hello.threads, link.hello.loop_slots)
        self.free = [0, 0]
        self.received = [0, 0]
        self.sent = [0, 0]
        self.fast = [0, 0]
        """Calls of quick methods under way, by lane."""
        self.slow = [0, 0]
        """Other calls under way, by lane."""
        self.wants = [0, 0]
        """How many calls the worker believes are waiting here for it, by lane."""
        self.calls: dict[int, PendingCall] = {}
        self.is_draining = False
        self.ahead_blocked = False

    def available(self, lane: int) -> int:
        """Slots that are free as far as this gateway can know."""
        if self.is_draining:
            return 0
        return self.free[lane] - (self.sent[lane] - self.received[lane])

    def room_ahead(self, lane: int, ahead: int) -> int:
        """Calls of a quick method that may be sent although no slot is free.

        None while anything slow runs there: a call behind it would wait for all of it. What other
        gateways run shows as slots in use that none of our quick calls explains.
        """
        if self.is_draining or self.ahead_blocked or self.slow[lane]:
            return 0
        in_use = self.capacity[lane] - max(0, self.free[lane])
        if in_use > self.fast[lane]:
            return 0
        return self.capacity[lane] + ahead - self.fast[lane]

    def serves(self, method: str) -> bool:
        """Tell whether it is there and serves the method, draining or not."""
        return self.link.epoch in self.group.workers and method in self.group.lanes

    def take_report(self, slots: Slots) -> None:
        """Replace what is known of the free slots."""
        free_threads, free_loop, received_threads, received_loop = slots
        self.free = [free_threads, free_loop]
        self.received = [received_threads, received_loop]


class IdleSet:
    """Workers with a free slot, of which a random one is wanted in constant time."""

    __slots__ = ("_index", "_members")

    def __init__(self) -> None:
        self._members: list[WorkerView] = []
        self._index: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, worker: WorkerView) -> bool:
        return id(worker) in self._index

    def add(self, worker: WorkerView) -> None:
        """Add a worker that may already be there."""
        if id(worker) not in self._index:
            self._index[id(worker)] = len(self._members)
            self._members.append(worker)

    def discard(self, worker: WorkerView) -> None:
        """Remove a worker that may not be there."""
        position = self._index.pop(id(worker), None)
        if position is None:
            return
        last = self._members.pop()
        if last is not worker:
            self._members[position] = last
            self._index[id(last)] = position

    def choose(self, random: Random) -> WorkerView:
        """Return a random member; random, so that several gateways do not run after one worker."""
        return self._members[int(random.random() * len(self._members))]


class WorkerGroup:
    """The live workers that serve the same methods."""

    __slots__ = ("idle", "lanes", "workers")

    def __init__(self, methods: Iterable[tuple[str, int]]) -> None:
        self.lanes = dict(methods)
        self.workers: dict[int, WorkerView] = {}
        self.idle = (IdleSet(), IdleSet())

    def refresh(self, worker: WorkerView) -> None:
        """Bring the idle sets up to date with the worker's slots."""
        for lane in LANES:
            self.refresh_lane(worker, lane)

    def refresh_lane(self, worker: WorkerView, lane: int) -> None:
        """Bring one idle set up to date with the worker's slots."""
        if worker.available(lane) > 0:
            self.idle[lane].add(worker)
        else:
            self.idle[lane].discard(worker)


class WorkerTable:
    """All live workers by the epoch of their link, and the groups they form."""

    def __init__(self) -> None:
        self._workers: dict[int, WorkerView] = {}
        self._groups: dict[frozenset[tuple[str, int]], WorkerGroup] = {}
        self._known: dict[str, int] = {}
        self._methods: dict[str, MethodInfo] = {}

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[WorkerView]:
        return iter(self._workers.values())

    def get(self, link: Link) -> WorkerView:
        """Return the live worker behind a link."""
        return self._workers[link.epoch]

    def add(self, link: Link) -> WorkerView:
        """Add a worker that said HELLO and return its view."""
        methods = frozenset((method.name, method.lane) for method in link.hello.methods)
        group = self._groups.get(methods)
        if group is None:
            group = self._groups[methods] = WorkerGroup(methods)
        worker = WorkerView(link, group)
        self._workers[link.epoch] = group.workers[link.epoch] = worker
        self._known.update(group.lanes)
        self._methods.update((method.name, method) for method in link.hello.methods)
        return worker

    def remove(self, worker: WorkerView) -> None:
        """Forget a worker, and its group when it was the last of it."""
        del self._workers[worker.link.epoch]
        del worker.group.workers[worker.link.epoch]
        for idle in worker.group.idle:
            idle.discard(worker)
        if not worker.group.workers:
            self._groups = {key: g for key, g in self._groups.items() if g is not worker.group}

    @property
    def has_known_methods(self) -> bool:
        """True once any worker has announced its methods."""
        return bool(self._known)

    def lane_of(self, method: str) -> int | None:
        """Return the lane of a method that some worker has ever announced."""
        return self._known.get(method)

    def policy_of(self, method: str) -> int:
        """Return what a method asks of the gateway, by the worker that came last."""
        info = self._methods.get(method)
        return 0 if info is None else info.policy

    def timeout_of(self, method: str) -> float:
        """Return a method's own time limit in seconds; 0 when it has none."""
        info = self._methods.get(method)
        return 0.0 if info is None else info.timeout_milliseconds / 1000

    def groups_serving(self, method: str) -> list[WorkerGroup]:
        """Return the groups whose live workers serve ``method``."""
        return [group for group in self._groups.values() if method in group.lanes]
