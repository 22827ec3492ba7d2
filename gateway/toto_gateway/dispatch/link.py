"""The name of one connection to one worker. No I/O."""

from dataclasses import dataclass

from toto._wire.messages import Hello

__all__ = ["Link"]


@dataclass(frozen=True, slots=True)
class Link:
    """One connection between one incarnation of a worker and this gateway process."""

    peer: bytes
    """ZeroMQ routing id."""
    epoch: int
    """Drawn at random for this connection; messages that carry another one are stale."""
    hello: Hello
    pid: int | None = None
    """Process id on this host, by the kernel's word; None for a worker elsewhere."""
