"""The last events of every name in Redis: one stream each (Redis 5 and later)."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from toto._core.event_history import CURSOR_START, HistoryPage, NewEvent
from toto._core.stores.event_history_page import Entry, Place, read_page
from toto._core.stores.redis_link import RedisLink, quoted

__all__ = ["RedisEventHistory"]

_PAYLOAD, _GAP = b"p", b"g"
IDLE_SECONDS = 60.0
"""Connections that nobody has used for longer are made anew: the firewalls of the large clouds
forget them, without a word, after 4 to 6 minutes."""

# Places must be given out where the entries are: streams number by time alone, and then nobody can
# tell whether one entry directly follows another. The clock is the server's, which all share.
_APPEND = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local milliseconds, number = 0, 0
if last then
  local before, after = string.match(last[1], '^(%d+)-(%d+)$')
  milliseconds, number = tonumber(before), tonumber(after)
end
local now = redis.call('TIME')
milliseconds = math.max(milliseconds, now[1] * 1000 + math.floor(now[2] / 1000))
for i = 3, #ARGV, 2 do
  number = number + 1
  local id = string.format('%.0f-%.0f', milliseconds, number)
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], id, ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {milliseconds, number}
"""


class RedisEventHistory:
    """An ``EventHistory``. A cursor is the id of a stream's entry.

    Args:
        link: to Redis. Its client must not repeat what may have been done: an event would be
            recorded twice.
        length: events kept of each name.
        keep_seconds: how long a name is kept after its last event.
        renew: ends connections that nobody uses at the moment.
        close: ends the connections.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        link: RedisLink,
        *,
        length: int,
        keep_seconds: float,
        renew: Callable[[], None],
        close: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._length = length
        self._keep_milliseconds = int(keep_seconds * 1000)
        self._renew = renew
        self._close = close
        self._clock = clock
        self._used_at = clock()

    def append(self, events: Sequence[NewEvent]) -> list[str]:
        """Record events in this order, in one round trip, and return the cursor of each."""
        return self._add([(event.name, _PAYLOAD, event.payload) for event in events])

    def mark_gap(self, names: Sequence[str]) -> None:
        """Record that events of these names were lost."""
        self._add([(name, _GAP, b"") for name in names])

    def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        """Return the events of a name behind a cursor; ``read_page`` tells what is a gap."""
        key = self._key(name)

        def fetch(place: Place, count: int) -> list[Entry]:
            with self._link.connected() as client:
                found: Any = client.xrange(key, place.cursor, "+", count=count)
            return [_entry(*each) for each in found]

        return read_page(fetch, since, count_max)

    def latest(self, name: str) -> str:
        """Return the cursor of the last event of a name."""
        with self._link.connected() as client:
            found: Any = client.xrevrange(self._key(name), count=1)
        return _entry(*found[0]).place.cursor if found else CURSOR_START

    def close(self) -> None:
        """End all connections."""
        self._close()

    def _add(self, entries: Sequence[tuple[str, bytes, bytes]]) -> list[str]:
        self._renew_if_idle()
        of_names: dict[str, list[bytes]] = {}
        for name, kind, payload in entries:
            of_names.setdefault(name, []).extend((kind, payload))
        with self._link.connected() as client, client.pipeline(transaction=False) as commands:
            pipeline: Any = commands  # untyped there
            for name, fields in of_names.items():
                key = self._key(name)
                # The whole script: a pipeline cannot react to a server that knows no digest of it.
                # Not the method, which the pipeline of a cluster does not have.
                arguments = ["EVAL", _APPEND, 1, key, self._length, self._keep_milliseconds]
                pipeline.execute_command(*arguments, *fields, **_route(client, key))
            ends: list[Any] = pipeline.execute()
        self._used_at = self._clock()
        places = {
            name: _places(end, len(fields) // 2)
            for (name, fields), end in zip(of_names.items(), ends, strict=True)
        }
        return [places[name].pop().cursor for name, _, _ in entries]

    def _renew_if_idle(self) -> None:
        if self._clock() - self._used_at > IDLE_SECONDS:
            self._renew()

    def _key(self, name: str) -> str:
        return self._link.key("history", quoted(name))


def _route(client: Any, key: str) -> dict[str, Any]:
    """Return where a script goes: for each one redis-py would ask a cluster for the keys."""
    if isinstance(client, redis.Redis):
        return {}
    return {"target_nodes": client.get_node_from_key(key)}


def _places(end: tuple[int, int], count: int) -> list[Place]:
    """Return the last places of a name, the newest first."""
    milliseconds, last = end
    return [Place(milliseconds, number) for number in range(last, last - count, -1)]


def _entry(stream_id: Any, fields: dict[bytes, bytes]) -> Entry:
    text = stream_id.decode() if isinstance(stream_id, bytes) else str(stream_id)
    milliseconds, _, number = text.partition("-")
    return Entry(Place(int(milliseconds), int(number)), fields.get(_PAYLOAD))
