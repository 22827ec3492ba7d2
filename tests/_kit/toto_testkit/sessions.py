"""Clients with accounts and sessions. They sign as the contract says, by code of their own."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toto_testkit.cluster import Cluster
from toto_testkit.formats import JSON, Format
from toto_testkit.http import Response

PASSWORD = "correct horse battery staple"  # noqa: S105  # of accounts that live for one test
UNLIMITED = {"login_attempts": 0, "login_attempts_per_address": 0}
"""Options of clusters whose tests log in often, all from one address."""


def new_user_id(prefix: str = "ann") -> str:
    """Return a user id that is in its normal form, and that nobody else uses."""
    return f"{prefix}-{secrets.token_hex(6)}"


# -- signatures


def hmac_v1(key: str, verb: str, uri: str, body: bytes) -> str:
    """Return ``x-toto-hmac`` of a request as Toto's clients make it."""
    message = verb.encode() + uri.encode("latin-1") + body
    return b64encode(hmac.digest(key.encode(), message, "sha1")).decode()


def response_hmac_v1(key: str, session_id: str, body: bytes) -> str:
    """Return what ``x-toto-hmac`` of a response must be."""
    return b64encode(hmac.digest(key.encode(), session_id.encode() + body, "sha1")).decode()


def hmac_v2(key: str, *fields: bytes) -> str:
    """Return the signature of scheme v2: every field stands behind its length in eight bytes."""
    message = b"".join(len(value).to_bytes(8, "big") + value for value in fields)
    return b64encode(hmac.digest(key.encode(), message, "sha256")).decode()


def response_hmac_v2(key: str, nonce: str, session_id: str, body: bytes) -> str:
    """Return what ``x-toto-hmac`` of a response to a request of scheme v2 must be."""
    return hmac_v2(key, nonce.encode(), session_id.encode(), body)


def v1_headers(key: str, verb: str, uri: str, body: bytes) -> dict[str, str]:
    """Return the header that signs a request."""
    return {"x-toto-hmac": hmac_v1(key, verb, uri, body)}


@dataclass(frozen=True)
class V2:
    """What a client of scheme v2 chooses for one request; by default as it should."""

    offset_seconds: int = 0
    """How far the client's clock is ahead."""
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def headers(
        self, key: str, verb: str, uri: str, body: bytes, content_type: str
    ) -> dict[str, str]:
        """Return the headers that sign a request."""
        timestamp = str(int(time.time()) + self.offset_seconds)
        texts = (timestamp, self.nonce, verb, uri, content_type)
        fields = [text.encode("latin-1") for text in texts]
        return {
            "x-toto-timestamp": timestamp,
            "x-toto-nonce": self.nonce,
            "x-toto-hmac": hmac_v2(key, *fields, hashlib.sha256(body).digest()),
        }


# -- clients


@dataclass
class Client:
    """A client that follows its session, as Toto's do: the one of the last answer counts.

    Args:
        cluster: whom it calls.
        scheme: how it signs: ``none``, ``v1`` or ``v2``.
    """

    cluster: Cluster
    scheme: str = "none"
    user_id: str = ""
    password: str = PASSWORD
    session_id: str = ""
    key: str = ""

    def create(self, **properties: Any) -> Response:
        """Create the account; the answer's session is this client's."""
        self.user_id = self.user_id or new_user_id()
        return self._enter("account.create", properties)

    def login(self, **parameters: Any) -> Response:
        """Log in; the answer's session is this client's."""
        return self._enter("account.login", parameters)

    def again(self) -> "Client":
        """Return another client of the same user, logged in for itself."""
        other = Client(self.cluster, self.scheme, self.user_id, self.password)
        other.login()
        return other

    def headers(self, verb: str, uri: str, body: bytes, content_type: str = "") -> dict[str, str]:
        """Return the headers that make a request one of this client's."""
        headers = {"Content-Type": content_type} if content_type else {}
        if self.session_id:
            headers["x-toto-session-id"] = self.session_id
        if self.scheme == "v1":
            headers |= v1_headers(self.key, verb, uri, body)
        if self.scheme == "v2":
            headers |= V2().headers(self.key, verb, uri, body, content_type)
        return headers

    def send(self, verb: str, uri: str, body: bytes = b"", content_type: str = "") -> Response:
        """Send a signed request of any kind; the uri stands in the request line as it is."""
        headers = self.headers(verb, uri, body, content_type)
        with self.cluster.connect() as connection:
            connection.request(verb, uri, headers, body or None)
            return connection.read_response(verb)

    def post(self, value: Any, uri: str = "/", body_format: Format = JSON) -> Response:
        """Send a value in a format; a JSON answer's session is followed."""
        body = body_format.dumps(value)
        response = self.send("POST", uri, body, body_format.content_type)
        if response.content_type == JSON.content_type:
            self._follow(response)
        return response

    def call(self, method: str, **parameters: Any) -> Response:
        """Call a method."""
        return self.post({"method": method, "parameters": parameters})

    def batch(self, **members: Any) -> Response:
        """Send a batch."""
        return self.post({"batch": members})

    def _enter(self, method: str, more: Mapping[str, Any]) -> Response:
        given = {"user_id": self.user_id, "password": self.password, **more}
        headers = {"x-toto-session-id": self.session_id} if self.session_id else {}
        response = self.cluster.call(method, given, headers)
        result = response.result
        self.session_id, self.key = result["session_id"], result["key"]
        return response

    def _follow(self, response: Response) -> None:
        try:
            envelope = json.loads(response.body)
        except ValueError:
            return
        session = envelope.get("session") if isinstance(envelope, dict) else None
        if session and session.get("session_id"):
            self.session_id = session["session_id"]


def new_client(cluster: Cluster, scheme: str = "none", **properties: Any) -> Client:
    """Return the client of a new account."""
    client = Client(cluster, scheme)
    client.create(**properties)
    return client


# -- cookies


@dataclass(frozen=True)
class Cookie:
    """A cookie as a server sets it; names of attributes are in lower case."""

    name: str
    value: str
    attributes: dict[str, str]


def set_cookie(response: Response) -> Cookie | None:
    """Return the only cookie of an answer, or None."""
    header = response.headers.get("set-cookie")
    if header is None:
        return None
    pair, *rest = header.split(";")
    name, _, value = pair.strip().partition("=")
    parts = (text.strip().partition("=") for text in rest)
    return Cookie(name, value, {key.lower(): text for key, _, text in parts})


@dataclass
class Browser:
    """A page of the gateway's own origin: it keeps cookies, and says where it comes from."""

    cluster: Cluster
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The ``Host`` of its requests."""
        return f"127.0.0.1:{self.cluster.port}"

    @property
    def origin_headers(self) -> dict[str, str]:
        """What a browser adds to a request of a page to its own server."""
        return {"Origin": f"http://{self.host}", "Sec-Fetch-Site": "same-origin"}

    @property
    def cookie_headers(self) -> dict[str, str]:
        """The cookies, as a browser sends them."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    def send(
        self,
        verb: str = "POST",
        uri: str = "/",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request with the cookies and the given headers only, and take cookies."""
        given = {"Host": self.host, **self.cookie_headers, **(headers or {})}
        response = self.cluster.send(verb, uri, given, body)
        cookie = set_cookie(response)
        if cookie is not None:
            self.cookies[cookie.name] = cookie.value
        return response

    def call(
        self, method: str, parameters: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Call a method as a page of the same origin does."""
        body = JSON.dumps({"method": method, "parameters": parameters or {}})
        all_headers = {"Content-Type": "application/json", **self.origin_headers, **(headers or {})}
        return self.send("POST", "/", body, all_headers)

    def create(self) -> str:
        """Create an account, whose cookie is kept, and return its user id."""
        user_id = new_user_id()
        response = self.call("account.create", {"user_id": user_id, "password": PASSWORD})
        assert response.result["user_id"] == user_id
        return user_id
