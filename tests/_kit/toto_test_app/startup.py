"""Startup functions, as applications have them."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from toto.clientsessioncache import AESCipher, ClientCache
from toto.exceptions import ERROR_INVALID_HMAC, TotoException
from toto.handler import TotoHandler
from toto.session import TotoSession, TotoSessionCache


class FileCache(TotoSessionCache):
    """Keeps each session in a file; may be slow, or fail."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)

    def path(self, session_id: str) -> Path:
        return self.directory / hashlib.sha256(session_id.encode()).hexdigest()

    def store_session(self, session_data: dict[str, Any]) -> None:
        text = json.dumps({**session_data, "state": session_data["state"].decode("latin-1")})
        self.path(session_data["session_id"]).write_text(text)

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        if (self.directory / "broken").exists():
            raise OSError("the disk is gone")
        if (self.directory / "slow").exists():
            time.sleep(0.3)
        path = self.path(session_id)
        if not path.exists():
            return None
        data = json.loads(path.read_text())
        return {**data, "state": data["state"].encode("latin-1")}

    def remove_session(self, session_id: str) -> None:
        self.path(session_id).unlink(missing_ok=True)


def own_cache(db_connection: Any) -> None:
    db_connection.set_session_cache(FileCache(os.environ["TEST_APP_SESSIONS"]))


def client_cache(db_connection: Any, **kwargs: Any) -> None:
    """As in Toto's own tests, but for the hmac key."""
    cipher = AESCipher("123456789012345612345678901234561234567890123456")
    db_connection.set_session_cache(ClientCache(cipher, "h" * 32))


def json_state(db_connection: Any, application: Any) -> None:
    TotoSession.set_serializer(json)


def own_signatures() -> None:
    def check(session: Any, request: Any, headers: Any) -> None:
        given = headers.get("x-toto-hmac", "")
        if given != f"{session.user_id} {request.verb} {request.path} {len(request.body)}":
            raise TotoException(ERROR_INVALID_HMAC, "not by our rule")

    TotoHandler.set_hmac_handler(check)
    TotoHandler.set_response_hmac_handler(lambda session, body: f"{session.user_id} {len(body)}")


def broken(db_connection: Any) -> None:
    raise ValueError("no configuration")
