"""The fingerprint by which a gateway notices a worker that keeps sessions elsewhere."""

from typing import Any

import pytest

from toto._core.settings import load
from toto._core.stores.fingerprint import store_fingerprint
from toto._core.stores.settings import StoreSettings


def fingerprint(**keywords: Any) -> bytes:
    return store_fingerprint(load(StoreSettings, keywords=keywords).settings)


@pytest.mark.parametrize(
    "other",
    [
        {"database": "redis"},
        {"db_host": "elsewhere"},
        {"sqlite_path": "other.db"},
        {"redis_url": "redis://elsewhere"},
        {"session_cache": "client", "session_keys": "k" * 32},
        {"hmac_enabled": True},
        {"startup_function": "a.b"},
    ],
)
def test_other_stores_have_another_fingerprint(other: dict[str, Any]) -> None:
    """Keys and signatures count too: without them a session cannot be used."""
    assert fingerprint(**other) != fingerprint()


def test_what_does_not_hide_sessions_does_not_count() -> None:
    """Limits and lifetimes may differ; a relative path is the same file as its absolute one."""
    assert fingerprint(log_level="debug", session_ttl="1h", login_attempts=3) == fingerprint()
    assert len(fingerprint()) == 8
