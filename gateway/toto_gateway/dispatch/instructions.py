"""What the scheduler decides, as values for the client to carry out."""

from dataclasses import dataclass

from toto._core.failure import Failure
from toto_gateway.dispatch.pending import PendingCall
from toto_gateway.dispatch.workers import WorkerView

__all__ = ["DeclineSlot", "Instruction", "Refuse", "SendCall", "WantSlots"]


@dataclass(frozen=True, slots=True)
class SendCall:
    """Send the call to the worker, using the granted ticket if it is not 0."""

    worker: WorkerView
    call: PendingCall
    ticket: int


@dataclass(frozen=True, slots=True)
class DeclineSlot:
    """Give a granted slot back."""

    worker: WorkerView
    ticket: int


@dataclass(frozen=True, slots=True)
class WantSlots:
    """Tell the worker how many calls wait for it."""

    worker: WorkerView
    lane: int
    count: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """End the call with a failure."""

    call: PendingCall
    failure: Failure


Instruction = SendCall | DeclineSlot | WantSlots | Refuse
