"""An HTTP request and the ways to answer one, free of any HTTP library."""

import re
import secrets
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Request", "Responder", "request_id_of"]

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request.

    ``headers`` keeps names as they came and repeats as they were; ``header`` finds by any case.
    """

    verb: str
    uri: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    remote_ip: str
    request_id: str

    def header(self, name: str) -> str:
        """Return the first header of the (lower-case) name, or an empty string."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return ""

    def header_map(self) -> dict[str, str]:
        """Return the headers by lower-case name; of repeated ones the first."""
        return {name.lower(): value for name, value in reversed(self.headers)}

    @property
    def path(self) -> str:
        """The URI up to the question mark."""
        return self.uri.partition("?")[0]

    @property
    def query(self) -> str:
        """The URI behind the question mark."""
        return self.uri.partition("?")[2]


class Responder(Protocol):
    """Writes the answer to one request: ``send`` once, or ``start``, ``write``..., ``finish``."""

    @property
    def status(self) -> int:
        """The status that was sent; 0 before."""

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Write a whole response."""

    def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Write the head of a response of unknown length."""

    async def write(self, chunk: bytes) -> None:
        """Write a part; returns when the kernel has taken it.

        Raises:
            ConnectionError: when the client has gone.
        """

    def finish(self) -> None:
        """End a response begun by ``start``."""

    def abort(self) -> None:
        """Close the connection, so that the client sees that the response is not complete."""


def request_id_of(given: str) -> str:
    """Return the client's request id if it is up to 128 visible ASCII characters, or a new one."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return secrets.token_hex(8)
