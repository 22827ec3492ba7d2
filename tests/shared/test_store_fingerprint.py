"""The fingerprint by which a gateway notices a worker that keeps sessions elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from toto._core.settings import load
from toto._core.stores.fingerprint import store_fingerprint
from toto._core.stores.settings import StoreSettings


def fingerprint(**keywords: Any) -> bytes:
    return store_fingerprint(load(StoreSettings, keywords=keywords).settings)


SQLITE: dict[str, Any] = {}
POSTGRES = {"database": "postgres"}
REDIS = {"database": "redis"}
APART = {"database": "postgres", "session_cache": "redis", "redis_url": "redis://r"}
CLIENT = {"session_cache": "client", "session_keys": "k" * 32}


@pytest.mark.parametrize(
    ("base", "other"),
    [
        (SQLITE, {"database": "redis"}),
        (SQLITE, {"database": "none"}),
        (SQLITE, {"sqlite_path": "other.db"}),
        (SQLITE, {"table_prefix": "other_"}),
        (SQLITE, CLIENT),
        (SQLITE, {"hmac_enabled": True}),
        (SQLITE, {"hmac_scheme": "v2"}),
        (SQLITE, {"startup_function": "a.b"}),
        (POSTGRES, {"db_host": "elsewhere"}),
        (POSTGRES, {"db_port": 1}),
        (POSTGRES, {"postgres_database": "other"}),
        (POSTGRES, {"postgres_schema": "other"}),
        ({"database": "mysql"}, {"mysql_database": "other"}),
        ({"database": "mongodb"}, {"mongodb_database": "other"}),
        (REDIS, {"redis_url": "redis://elsewhere"}),
        (REDIS, {"redis_database": 1}),
        (REDIS, {"redis_prefix": "other:"}),
        (REDIS, {"db_host": "elsewhere"}),
        (APART, {"redis_url": "redis://r/1"}),
        (CLIENT, {"session_keys": "K" * 32}),
        (CLIENT, {"sqlite_path": "other.db"}),
    ],
)
def test_other_stores_have_another_fingerprint(base: dict[str, Any], other: dict[str, Any]) -> None:
    """Keys and signatures count too: without them a session cannot be used."""
    assert fingerprint(**{**base, **other}) != fingerprint(**base)


@pytest.mark.parametrize(
    ("base", "other"),
    [
        (SQLITE, {"log_level": "debug", "session_ttl": "1h", "login_attempts": 3}),
        (SQLITE, {"account_fields": "name"}),
        (SQLITE, {"db_host": "elsewhere", "db_port": 1, "redis_prefix": "x", "mysql_user": "x"}),
        (SQLITE, {"redis_url": "redis://elsewhere", "postgres_database": "other"}),
        (SQLITE, {"session_keys": "k" * 32}),
        (POSTGRES, {"sqlite_path": "other.db", "redis_database": 3, "db_port": 5432}),
        (POSTGRES, {"postgres_user": "other", "postgres_password": "hidden"}),
        ({"database": "mysql"}, {"mysql_user": "other", "mysql_password": "hidden"}),
        ({"database": "mongodb"}, {"mongodb_user": "other", "mongodb_password": "hidden"}),
        (REDIS, {"sqlite_path": "other.db", "table_prefix": "x", "db_port": 6379}),
        (REDIS, {"redis_url": "redis://me:hidden@localhost:6379/0"}),
        (APART, {"database": "redis", "redis_url": "redis://:hidden@r"}),
        (CLIENT, {"session_keys": " " + "k" * 32 + ","}),
    ],
)
def test_what_does_not_hide_sessions_does_not_count(
    base: dict[str, Any], other: dict[str, Any]
) -> None:
    """Limits, lifetimes and other databases may differ; users and passwords must not count."""
    assert fingerprint(**{**base, **other}) == fingerprint(**base)


def test_fingerprint_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has eight bytes; a relative path is the same file as its absolute one."""
    monkeypatch.chdir(tmp_path)

    assert fingerprint(sqlite_path="a.db") == fingerprint(sqlite_path=str(tmp_path / "a.db"))
    assert len(fingerprint()) == 8
