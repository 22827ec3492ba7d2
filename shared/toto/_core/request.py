"""The HTTP request behind a call, as methods see it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

__all__ = ["Headers", "Request"]


class Headers(Mapping[str, str]):
    """The headers of a request. Names are found in any case, and listed in lower case.

    Args:
        pairs: names and values in the order received. Repeated ones are joined by a comma, cookies
            by a semicolon (RFC 9110, 5.3; RFC 9113, 8.2.3).
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            if key in self._values:
                joint = "; " if key == "cookie" else ", "
                value = f"{self._values[key]}{joint}{value}"
            self._values[key] = value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __repr__(self) -> str:
        # Some are as good as a password.
        return f"Headers({list(self._values)})"


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request behind a call.

    For a member of a batch ``body`` is the member's own document, not the whole batch. For a call
    that another method has made it is that call's document, in msgpack, and the rest is as in the
    client's request.
    """

    verb: str
    uri: str
    """Path and query as the client sent them."""
    headers: Mapping[str, str]
    """By name in any case (``Headers``); repeated headers are joined by a comma."""
    body: bytes
    remote_ip: str
    content_type: str
    """The format of the request, parameters of the type included; empty if none was given."""

    @property
    def method(self) -> str:
        """The verb, under the name it has in Tornado."""
        return self.verb

    @property
    def path(self) -> str:
        """The URI up to the question mark."""
        return self.uri.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's arguments, percent-decoded, each as the list of its values."""
        return parse_qs(self.uri.partition("?")[2], keep_blank_values=True)
