"""Several gateways and workers without sockets: the product's own dispatch client, call desk and
codec, joined by channels that keep order and deliver when the test says so."""

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, cast

from toto._core.failure import Failure
from toto._core.timing import MethodTimes
from toto._wire.codec import decode, encode
from toto._wire.constants import Policy
from toto._wire.messages import Bye, Head, Hello, Message, MethodInfo, RequestInfo
from toto_gateway.dispatch.client import DispatchClient
from toto_gateway.dispatch.event_bus import EventBus
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.links import LinkListener
from toto_gateway.dispatch.liveness import Death
from toto_gateway.dispatch.nested import NestedCalls
from toto_gateway.dispatch.pending import CallRequest, PendingCall
from toto_testkit.manual_loop import ManualLoop
from toto_worker.call import WorkerCall
from toto_worker.calls import CallDesk
from toto_worker.ports import LinkPort, LinkState
from toto_worker.slots import SlotTable

TURNS_MAX = 1000
"""Exchanges after which a conversation without new events must have come to an end."""

Frames = tuple[bytes, bytes]

NO_LIMIT_SECONDS = 1e6
"""Calls must end because their turn comes, not because their time is over."""


class Outcome:
    """A reply sink that remembers how its call ended, and how often."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endings: list[bytes | Failure] = []
        self.call: PendingCall | None = None
        self.abandon: Callable[[PendingCall], None] | None = None
        self.is_abandoned = False

    def on_chunk(self, head: Head | None, payload: bytes, *, code: int, final: bool) -> None:
        if final:
            self.endings.append(payload)

    def on_push(self, payload: bytes, *, more: bool) -> None:
        raise NotImplementedError

    def on_item(self, head: Head | None, payload: bytes, *, more: bool, key: str = "") -> None:
        raise AssertionError("nothing streams here")

    def on_failure(self, failure: Failure) -> None:
        self.endings.append(failure)


class ChannelLink:
    """A worker's end of the connection to one gateway."""

    def __init__(self, endpoint: str, epoch: int) -> None:
        self.endpoint = endpoint
        self.epoch = epoch
        self.state = LinkState.LIVE
        self.window_bytes = 262_144
        self.calls: dict[int, WorkerCall] = {}
        self.outgoing: deque[Frames] = deque()

    @property
    def is_live(self) -> bool:
        return self.state in (LinkState.LIVE, LinkState.DRAINED)

    def send(self, message: Message, payload: bytes = b"") -> bool:
        self.outgoing.append((encode(message, self.epoch), payload))
        return True


@dataclass(eq=False)
class Channel:
    """Both directions between one gateway and one worker."""

    gateway: "ModelGateway"
    worker: "ModelWorker"
    link: Link
    far_end: ChannelLink
    to_worker: deque[Frames] = field(default_factory=deque)
    is_open: bool = True

    def deliver_to_worker(self) -> None:
        header, payload = self.to_worker.popleft()
        frames = [header, payload] if payload else [header]
        self.worker.desk.on_frames(cast("LinkPort", self.far_end), frames)

    def deliver_to_gateway(self) -> None:
        header, payload = self.far_end.outgoing.popleft()
        epoch, message = decode(header)
        assert epoch == self.link.epoch
        self.gateway.client.on_message(self.link, message, payload)


class ModelNested:
    """Ends the calls that a method has made when its own call ends, as the real one does."""

    def __init__(self) -> None:
        self._children: dict[int, list[Outcome]] = {}

    def add(self, parent: PendingCall, child: Outcome) -> None:
        self._children.setdefault(parent.call_id, []).append(child)

    def parent_ended(self, call: PendingCall) -> None:
        for child in self._children.pop(call.call_id, []):
            if not child.endings and child.call is not None and child.abandon is not None:
                child.is_abandoned = True
                child.abandon(child.call)

    def close(self) -> None:
        pass


class ModelGateway:
    """A dispatch client whose connections are channels."""

    def __init__(self, loop: ManualLoop, seed: int) -> None:
        self.channels: dict[int, Channel] = {}
        self.bad_frames = 0
        self.nested = ModelNested()
        self.client = DispatchClient(
            self._take_listener,
            lambda pool: cast(NestedCalls, self.nested),
            partial(EventBus, origin=b"g%d" % seed),
            loop=cast(Any, loop),
            queue_max=0,
            random=Random(seed),  # noqa: S311  # repeatable
        )

    def _take_listener(self, listener: LinkListener) -> "ModelGateway":
        return self

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def check(self, link: Link) -> None:
        pass

    def send(self, link: Link, message: Message, payload: bytes = b"") -> bool:
        channel = self.channels[link.epoch]
        if not channel.is_open:
            return False
        channel.to_worker.append((encode(message, link.epoch), payload))
        return True


class ModelWorker:
    """A call desk whose calls run until the test finishes them."""

    def __init__(self, loop: ManualLoop, *, threads: int) -> None:
        times = MethodTimes()
        self.threads = threads
        self.running: list[WorkerCall] = []
        self.started: list[str] = []
        self.slots: SlotTable[LinkPort] = SlotTable(
            threads=threads, loop_slots=2, is_fast=lambda method: times.of(method).is_fast
        )
        self.desk = CallDesk(
            self.slots,
            times,
            loop=cast(Any, loop),
            on_start=self._on_start,
            clock=loop.time,
        )

    def _on_start(self, call: WorkerCall) -> None:
        self.running.append(call)
        self.started.append(call.body().decode())

    def finish(self, call: WorkerCall, microseconds: int) -> None:
        self.running.remove(call)
        self.desk.finish(call, 0, None, b"answer to " + call.body(), microseconds)


class Cluster:
    """Gateways and workers, all connected."""

    def __init__(self, *, gateways: int, workers: int, threads: int, seed: int) -> None:
        self.loop = ManualLoop()
        self.gateways = [ModelGateway(self.loop, seed + n) for n in range(gateways)]
        self.workers: list[ModelWorker] = []
        self.channels: list[Channel] = []
        self.outcomes: list[Outcome] = []
        self._epochs = itertools.count(1)
        for _ in range(workers):
            self.add_worker(threads)

    def add_worker(self, threads: int) -> ModelWorker:
        worker = ModelWorker(self.loop, threads=threads)
        self.workers.append(worker)
        for gateway in self.gateways:
            epoch = next(self._epochs)
            methods = (
                *(MethodInfo("quick", 0), MethodInfo("slow", 0), MethodInfo("async", 1)),
                MethodInfo("again", 0, Policy.IDEMPOTENT),
            )
            hello = Hello(b"w%d" % epoch, 1, "host", methods, threads, 2)
            link = Link(b"w%d" % epoch, epoch, hello)
            channel = Channel(gateway, worker, link, ChannelLink(f"ipc://{epoch}", epoch))
            gateway.channels[epoch] = channel
            self.channels.append(channel)
            gateway.client.on_link(link)
            worker.desk._perform(worker.slots.link_up(cast("LinkPort", channel.far_end)))
        return worker

    def submit(self, gateway: int, method: str, *, in_batch: bool, timeout: float) -> Outcome:
        return self._submit(self.gateways[gateway], method, None, in_batch, timeout)

    def submit_nested(self, call: WorkerCall, method: str) -> Outcome | None:
        """A running call's method calls another one; None when its own call has ended by now."""
        parent = next(o for o in self.outcomes if o.name == call.message.request.request_id)
        gateway = next(c.gateway for c in self.channels if c.far_end is cast(Any, call.link))
        if parent.call is None or parent.call.is_ended or parent.is_abandoned:
            return None
        outcome = self._submit(gateway, method, parent.call, False, NO_LIMIT_SECONDS)
        gateway.nested.add(parent.call, outcome)
        return outcome

    def _submit(
        self,
        gateway: ModelGateway,
        method: str,
        parent: PendingCall | None,
        in_batch: bool,
        timeout: float,
    ) -> Outcome:
        name = f"{method}-{len(self.outcomes)}"
        outcome = Outcome(name)
        self.outcomes.append(outcome)
        info = RequestInfo(name, "POST", "/", (), "127.0.0.1", "", "json", None)
        info = info._replace(is_nested=parent is not None)
        request = CallRequest(method, name.encode(), info, timeout, in_batch, parent)
        outcome.call = gateway.client.submit(request, outcome)
        outcome.abandon = gateway.client.abandon
        return outcome

    def finishable(self) -> list[tuple[ModelWorker, WorkerCall]]:
        """Return the running calls whose methods wait for no other call."""
        waiting = {
            id(outcome.call.request.parent)
            for outcome in self.unended()
            if outcome.call is not None and outcome.call.request.parent is not None
        }
        names = {o.name for o in self.outcomes if o.call is not None and id(o.call) in waiting}
        return [
            (worker, call)
            for worker in self.workers
            for call in worker.running
            if call.message.request.request_id not in names
        ]

    def kill(self, worker: ModelWorker) -> None:
        """The process dies: what it had sent arrives, what was on the way to it does not."""
        self.workers.remove(worker)
        for channel in [c for c in self.channels if c.worker is worker]:
            while channel.far_end.outgoing:
                channel.deliver_to_gateway()
            channel.is_open = False
            self.channels.remove(channel)
            channel.gateway.client.on_lost(channel.link, Death(), is_expected=False)

    def drain(self, worker: ModelWorker) -> None:
        """The worker says that it takes no new calls."""
        for channel in self.channels:
            if channel.worker is worker:
                channel.far_end.send(Bye(gone=False))
        worker.desk.drain()

    def deliver_all(self) -> None:
        """Deliver everything under way until nothing moves."""
        self.loop.run_ready()
        for turn in itertools.count():
            if not any(c.to_worker or c.far_end.outgoing for c in self.channels):
                return
            assert turn < TURNS_MAX, f"messages go round in circles: {self.under_way()}"
            for channel in list(self.channels):
                while channel.to_worker:
                    channel.deliver_to_worker()
                while channel.far_end.outgoing:
                    channel.deliver_to_gateway()
            self.loop.run_ready()

    def under_way(self) -> list[str]:
        """Return the messages that are on their way."""
        return [
            repr(decode(header)[1])
            for channel in self.channels
            for header, _ in (*channel.to_worker, *channel.far_end.outgoing)
        ]

    def settle(self) -> None:
        """Let every call run to its end."""
        for _ in range(10_000):
            self.deliver_all()
            running = self.finishable()
            if running:
                for worker, call in running:
                    worker.finish(call, 100)
                continue
            if not self.unended():
                return
            # Only time can help now: grants run out, calls without a worker are given up.
            self.loop.advance(0.06)
            for worker in self.workers:
                worker.desk.expire_grants(self.loop.time())
        raise AssertionError(f"calls never ended: {[o.name for o in self.unended()]}")

    def unended(self) -> list[Outcome]:
        """Return the calls that nobody has answered yet."""
        return [o for o in self.outcomes if not o.endings and not o.is_abandoned]
