"""The options of toto-worker: defaults, ranges, and what they must be together."""

import os
from pathlib import Path
from typing import Any

import pytest

from toto._core.settings import SettingsError, load, options_of
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
