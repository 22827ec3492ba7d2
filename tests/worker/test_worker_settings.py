"""The options of toto-worker: defaults, ranges, and what they must be together."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from toto._core.settings import SettingsError, load, options_of
from toto._core.stores.open import open_stores
from toto_gateway.settings import GatewaySettings
from toto_worker.cli import GATEWAY_OPTIONS
from toto_worker.settings import WorkerSettings, check_worker_settings

CONNECT = "tcp://127.0.0.1:5555"


def refusal(**values: Any) -> str:
    """Return what is said of settings whose values are each of the right kind."""
    settings = load(WorkerSettings, keywords={"connect": CONNECT, **values}).settings
    with pytest.raises(SettingsError) as raised:
        check_worker_settings(settings)
    return str(raised.value)


def accepted(**values: Any) -> WorkerSettings:
    settings = load(WorkerSettings, keywords={"connect": CONNECT, **values}).settings
    check_worker_settings(settings)
    return settings


def test_defaults() -> None:
    """The defaults, with an address to connect to, are valid and are these."""
    assert accepted() == WorkerSettings(
        methods="methods",
        connect=("tcp://127.0.0.1:5555",),
        workers=1,
        threads=1,
        coroutines=128,
        app_dir=Path("."),
        only=(),
        exclude=(),
        graceful_timeout=30.0,
        debug=False,
        log_level="info",
        log_format="text",
    )


def test_defaults_are_of_their_kind() -> None:
    """Every default would be accepted if it were given."""
    for entry in options_of(WorkerSettings):
        assert entry.kind.read(entry.default, entry.name) == entry.default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", 0),
        ("workers", 513),
        ("workers", "many"),
        ("threads", 0),
        ("threads", 257),
        ("coroutines", 0),
        ("coroutines", 10_001),
        ("graceful_timeout", "-1s"),
    ],
)
def test_out_of_range(name: str, value: object) -> None:
    """A value out of its range is refused by its name."""
    with pytest.raises(SettingsError, match=f"keyword argument {name} is"):
        load(WorkerSettings, keywords={name: value})


def test_workers_auto() -> None:
    """`auto` is one worker for each CPU."""
    assert accepted(workers="auto").workers == os.cpu_count()


def test_patterns() -> None:
    """Patterns of method names come as text or as a list."""
    settings = accepted(only="images.*, users.*", exclude=["images.delete"])

    assert settings.only == ("images.*", "users.*")
    assert settings.exclude == ("images.delete",)


def test_connect_is_required() -> None:
    """A worker without a gateway is refused."""
    assert refusal(connect="") == (
        "connect must name at least one gateway, such as --connect tcp://127.0.0.1:5555"
    )


def test_several_addresses() -> None:
    """A worker may serve several gateways, by socket file and by name."""
    assert accepted(connect="tcp://gw1:5555,ipc:///run/w.sock").connect == (
        "tcp://gw1:5555",
        "ipc:///run/w.sock",
    )


def test_malformed_address() -> None:
    """The malformed one of several addresses is named."""
    assert refusal(connect="tcp://gw1:5555,gw2:5555") == (
        "connect has 'gw2:5555', but an address must begin with ipc:// or tcp://"
    )


@pytest.mark.parametrize("methods", ["", ".", "a..b", "my-app", "a/b", "a.py!", "1a"])
def test_malformed_package(methods: str) -> None:
    """What cannot be a package's name is refused."""
    assert refusal(methods=methods) == (
        f"methods must be a package name such as myapp.methods, not {methods!r}"
    )


def test_dotted_package() -> None:
    """A package may be inside another."""
    assert accepted(methods="myapp.methods").methods == "myapp.methods"


def test_app_dir_must_exist(tmp_path: Path) -> None:
    """The application's folder must be there."""
    missing = tmp_path / "missing"

    assert refusal(app_dir=missing) == f"app_dir must be an existing folder, not '{missing}'"
    assert accepted(app_dir=str(tmp_path)).app_dir == tmp_path


def test_the_options_of_the_gateway_are_known() -> None:
    """What toto-gateway alone has may stand in the environment of toto-worker."""
    own = {entry.name for entry in options_of(WorkerSettings)}
    others = {entry.name for entry in options_of(GatewaySettings)}

    assert set(GATEWAY_OPTIONS) == others - own


NO_HOST = (
    "db_host must be the name or address of a host: no URL, user, password or path "
    "(a unix socket of postgres or mysql excepted)"
)


@pytest.mark.parametrize(
    ("database", "host"),
    [
        ("postgres", "postgresql://me:hunter2@db/app"),
        ("postgres", "me:hunter2@db"),
        ("mysql", "db hunter2"),
        ("mongodb", "mongodb://me:hunter2@db"),
        ("mongodb", "/tmp/hunter2.sock"),  # noqa: S108  # a text, nothing is opened
        ("redis", "/run/hunter2.sock"),
        ("sqlite", "redis://:hunter2@db"),
        ("none", "db\nhunter2"),
    ],
)
def test_db_host_is_no_url(database: str, host: str) -> None:
    """What may hold a password is refused, in words that do not repeat it."""
    assert refusal(database=database, db_host=host) == NO_HOST


@pytest.mark.parametrize(
    "host", ["//me:hunter2@db", "/run/hunter2@db", "/run//x", "/run/my sql", "/x://y"]
)
def test_path_of_a_socket_is_no_url(host: str) -> None:
    """What begins like a path and is none is refused without being repeated."""
    assert refusal(database="postgres", db_host=host) == (
        "db_host begins with / but is no path of a unix socket"
    )


@pytest.mark.parametrize(
    ("database", "host"),
    [
        ("postgres", "/var/run/postgresql"),
        ("mysql", "/run/mysqld/mysqld.sock"),
        ("postgres", "db.internal"),
        ("mysql", "10.0.0.1"),
        ("redis", "::1"),
        ("mongodb", "db1,db2:27018"),
        ("mongodb", "[::1]:27017"),
    ],
)
def test_db_host(database: str, host: str) -> None:
    """Names, addresses, several of MongoDB, and paths where the driver takes them."""
    assert accepted(database=database, db_host=host).db_host == host


@pytest.mark.parametrize("host", ["", "db:99999", "a:b:c", "db,"])
def test_mongodb_host(host: str) -> None:
    """What pymongo would refuse in every process is refused before one is forked."""
    assert refusal(database="mongodb", db_host=host) == (
        "db_host must be a host, or several separated by commas, each with :PORT or without"
    )


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "$a", "a" * 64])
def test_mongodb_database(name: str) -> None:
    """What is no name of a database is refused."""
    assert refusal(database="mongodb", mongodb_database=name) == (
        f"mongodb_database must be a name that MongoDB takes, not {name!r}"
    )


@pytest.mark.parametrize("prefix", ["a$", "a..", ".a", "system."])
def test_mongodb_table_prefix(prefix: str) -> None:
    """What cannot begin the name of a collection is refused."""
    assert refusal(database="mongodb", table_prefix=prefix) == (
        f"table_prefix must be a prefix that MongoDB takes, not {prefix!r}"
    )


@pytest.mark.parametrize("database", ["sqlite", "postgres", "mysql"])
def test_long_table_prefix(database: str, tmp_path: Path) -> None:
    """32 bytes are accepted, here and by the stores; one more is refused by both."""
    common = {"database": database, "sqlite_path": tmp_path / "toto.db"}

    open_stores(accepted(**common, table_prefix="p" * 32)).close()

    said = "table_prefix must have 32 bytes at most"
    assert refusal(**common, table_prefix="é" * 16 + "p") == said
    with pytest.raises(SettingsError, match=said):
        open_stores(WorkerSettings(database=database, table_prefix="p" * 33))


@pytest.mark.parametrize(
    ("database", "driver"), [("postgres", "psycopg"), ("mysql", "pymysql"), ("mongodb", "pymongo")]
)
def test_missing_driver(database: str, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is not installed is missed before a process is forked."""
    monkeypatch.setitem(sys.modules, driver, None)

    assert refusal(database=database) == (
        f"database = {database} needs a driver: pip install toto-gateway[{database}]"
    )


@pytest.mark.parametrize("place", [{"database": "redis"}, {"session_cache": "redis"}])
def test_malformed_redis_url(place: dict[str, str]) -> None:
    """A URL that cannot be used is refused wherever Redis is, and not repeated."""
    said = refusal(**place, redis_url="http://:hunter2@localhost")

    assert said.startswith("redis_url is refused: it begins with no scheme known here; it must be ")
    assert "hunter2" not in said


def test_unused_redis_url_does_not_matter() -> None:
    """What is not used is not looked into."""
    accepted(redis_url="http://localhost")


@pytest.mark.parametrize("database", ["postgres", "mysql", "mongodb"])
def test_sessions_in_redis_do_not_take_the_port_of_the_database(database: str) -> None:
    """Beside another server, db_host and db_port cannot be those of Redis."""
    assert refusal(database=database, session_cache="redis", db_port=5432) == (
        "session_cache = redis needs redis_url: db_host and db_port are those of "
        f"database = {database}"
    )
    accepted(database=database, session_cache="redis", redis_url="redis://localhost")


@pytest.mark.parametrize("database", ["sqlite", "redis", "none"])
def test_sessions_in_redis_beside_no_other_server(database: str) -> None:
    """db_host and db_port are free to be those of Redis."""
    accepted(database=database, session_cache="redis", db_port=6380)


def test_short_session_keys() -> None:
    """A short key is refused with the hint that a comma may have cut it; keys are not repeated."""
    assert refusal(session_cache="client", session_keys="k" * 40 + ",hunter2") == (
        "session_keys must have 32 bytes or more each; commas separate keys"
    )
    accepted(session_cache="client", session_keys="k" * 32 + ", " + "l" * 32)
