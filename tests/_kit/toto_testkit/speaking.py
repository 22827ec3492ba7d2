"""Every way in which a client can call a method, behind one interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.http import Response

FORMATS = {"json": JSON, "msgpack": MSGPACK, "bson": BSON}
MEMBER_KEY = "the key"


@dataclass(frozen=True)
class Answer:
    """What came back of one call.

    Args:
        response: the whole HTTP answer.
        entry: the object that has the result or the error.
        session: the session of the answer, if it tells one.
    """

    response: Response
    entry: dict[str, Any]
    session: dict[str, Any] | None

    @property
    def result(self) -> Any:
        """The result; an error fails the test."""
        assert set(self.entry) == {"result"}, self.entry
        return self.entry["result"]

    @property
    def error(self) -> dict[str, Any]:
        """The error; a result fails the test."""
        assert set(self.entry) == {"error"}, self.entry
        error = self.entry["error"]
        assert isinstance(error, dict), self.entry
        return error


@dataclass(frozen=True)
class Way:
    """One way to call a method: in a format, alone or as the only member of a batch."""

    name: str
    body_format: Format
    is_batch: bool

    def call(
        self,
        cluster: Cluster,
        method: str,
        parameters: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call a method and take the envelope apart."""
        call = {"method": method, "parameters": {} if parameters is None else parameters}
        body = {"batch": {MEMBER_KEY: call}} if self.is_batch else call
        response = cluster.post(body, "/", headers, self.body_format)
        assert response.content_type == self.body_format.content_type, response
        return self.read(response)

    def read(self, response: Response) -> Answer:
        """Take an envelope of this way apart, whatever its content type says."""
        envelope = self.body_format.loads(response.body)
        session = envelope.pop("session", None)
        if not self.is_batch:
            return Answer(response, envelope, session)
        assert set(envelope) == {"batch"}, envelope
        assert set(envelope["batch"]) == {MEMBER_KEY}, envelope
        return Answer(response, envelope["batch"][MEMBER_KEY], session)


ALL_WAYS = [
    Way(f"{name}{'-batch' if is_batch else ''}", body_format, is_batch)
    for is_batch in (False, True)
    for name, body_format in FORMATS.items()
]

every_way = pytest.mark.parametrize("way", ALL_WAYS, ids=lambda way: way.name)
every_single_way = pytest.mark.parametrize(
    "way", [way for way in ALL_WAYS if not way.is_batch], ids=lambda way: way.name
)
every_format = pytest.mark.parametrize("body_format", FORMATS.values(), ids=FORMATS)


def speaking_options(sqlite_path: str) -> dict[str, Any]:
    """Return the options of a cluster that answers in every way, and knows users."""
    return {
        "threads": 4,
        "request_timeout": 5.0,
        "msgpack_enabled": True,
        "bson_enabled": True,
        "sqlite_path": sqlite_path,
        "login_attempts": 0,
        "login_attempts_per_address": 0,
        "log_level": "debug",
    }
