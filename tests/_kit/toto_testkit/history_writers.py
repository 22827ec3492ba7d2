"""What tests of the history of events let other threads and processes write."""

from collections.abc import Sequence
from contextlib import closing

from toto._core.event_history import NewEvent
from toto._core.stores.open_event_history import open_event_history
from toto._core.stores.settings import StoreSettings

LENGTH = 10_000


def append_many(
    settings: StoreSettings, names: Sequence[str], count: int, batch: int, index: int
) -> dict[str, list[str]]:
    """Open the history, append so many events of each name, and return their cursors.

    Args:
        settings: where the history is.
        names: of the events; each writer takes them in another order.
        count: events of each name.
        batch: how many of each are appended at a time.
        index: of the writer; it is in the payloads, ``INDEX.NUMBER``.
    """
    turned = [*names[index % len(names) :], *names[: index % len(names)]]
    cursors: dict[str, list[str]] = {name: [] for name in turned}
    with closing(open_event_history(settings, length=LENGTH)) as history:
        for first in range(0, count, batch):
            events = [
                NewEvent(name, b"%d.%d" % (index, number))
                for number in range(first, first + batch)
                for name in turned
            ]
            for event, cursor in zip(events, history.append(events), strict=True):
                cursors[event.name].append(cursor)
    return cursors
