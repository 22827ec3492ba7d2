"""The chat of the examples, started by its own conf file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from toto_testkit.cluster import Cluster
from toto_testkit.http import RawConnection
from toto_testkit.ports import holders
from toto_testkit.process_tree import descendant_pids
from toto_testkit.processes import MAY_COMPILE, REPOSITORY, Command, command_path

__all__ = ["ChatApp", "server_sent_events"]


@dataclass
class ChatApp(Cluster):
    """The chat on another port and with a database of its own."""

    _cursors: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.command = Command(
            [
                command_path("toto-gateway"),
                *("--conf", "examples/chat/gw.conf"),
                *("--port", str(self.port)),
                *("--sqlite-path", str(self.directory / "chat.db")),
                *self.arguments,
            ],
            output_path=self.directory / "output.log",
            directory=REPOSITORY,
            environment=MAY_COMPILE,
        )

    def gateway_pids(self) -> set[int]:
        """The processes below the supervisor that take connections."""
        return holders(self.port, descendant_pids(self.pid))

    def ask(self, method: str, **parameters: Any) -> Any:
        """Call a method by its URL and return its result."""
        return self.post({"parameters": parameters}, f"/api/{method}").result

    def say(self, text: str, room: str, name: str = "Ada") -> None:
        """Post a message and wait until it is kept: what is said right after it may overtake it."""
        posted = self.ask("post_message", room=room, name=name, text=text)
        ids: set[str] = set()
        while posted["id"] not in ids:
            since = self._cursors.get(room, "0")
            page = self.ask("receive_message", room=room, since=since)
            ids = {message["id"] for message in page["messages"]}
            self._cursors[room] = page["cursor"]


def server_sent_events(connection: RawConnection) -> Iterator[tuple[str, Any]]:
    """Read id and result of each event of a stream, pings left out."""
    event_id = ""
    for line in connection.lines():
        field, _, value = line.decode().partition(": ")
        if field == "id":
            event_id = value
        elif field == "data":
            yield event_id, json.loads(value)["result"]
