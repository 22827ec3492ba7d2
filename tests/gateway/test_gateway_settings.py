"""The options of toto-gateway: defaults, ranges, and what they must be together."""

import sys
from pathlib import Path
from typing import Any

import pytest

from toto._core.settings import SettingsError, load, options_of
from toto_gateway.cli import WORKER_OPTIONS
from toto_gateway.settings import GatewaySettings, check_gateway_settings
from toto_worker.settings import WorkerSettings


def refusal(**values: Any) -> str:
    """Return what is said of settings whose values are each of the right kind."""
    settings = load(GatewaySettings, keywords=values).settings
    with pytest.raises(SettingsError) as raised:
        check_gateway_settings(settings)
    return str(raised.value)


def accepted(**values: Any) -> GatewaySettings:
    settings = load(GatewaySettings, keywords=values).settings
    check_gateway_settings(settings)
    return settings


def test_defaults() -> None:
    """The defaults are valid and are these."""
    assert accepted() == GatewaySettings(
        port=8888,
        host="",
        root="/",
        processes=1,
        method_module="methods",
        workers=0,
        threads=1,
        app_dir=Path("."),
        worker_address="",
        worker_plaintext=False,
        method_select="both",
        allow_origin="",
        msgpack_enabled=True,
        bson_enabled=False,
        max_body_size=2097152,
        batch_max=100,
        request_timeout=30.0,
        queue_max=0,
        error_status="toto",
        graceful_timeout=30.0,
        debug=False,
        log_level="info",
        log_format="text",
        access_log=False,
    )


def test_defaults_are_of_their_kind() -> None:
    """Every default would be accepted if it were given."""
    for entry in options_of(GatewaySettings):
        assert entry.kind.read(entry.default, entry.name) == entry.default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65536),
        ("port", -1),
        ("processes", 0),
        ("processes", 65),
        ("workers", 513),
        ("threads", 0),
        ("threads", 257),
        ("method_select", "body"),
        ("request_timeout", 0),
        ("error_status", "200"),
        ("log_level", "trace"),
        ("log_format", "xml"),
        ("max_body_size", 0),
        ("batch_max", 0),
        ("queue_max", -1),
    ],
)
def test_out_of_range(name: str, value: object) -> None:
    """A value out of its range is refused by its name."""
    with pytest.raises(SettingsError, match=f"keyword argument {name} is"):
        load(GatewaySettings, keywords={name: value})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("api", "/api"),
        ("/api/", "/api"),
        ("a/b", "/a/b"),
        ("/v1.0/~x-y_z", "/v1.0/~x-y_z"),
    ],
)
def test_root_is_normalised(given: str, expected: str) -> None:
    """The root begins with one slash and ends with none."""
    assert accepted(root=given).root == expected


@pytest.mark.parametrize("root", ["/a b", "/a//b", "/a?b", "/../a", "/a/./b", "/é", "/a\n"])
def test_malformed_root(root: str) -> None:
    """A root that is no plain URL path is refused."""
    assert refusal(root=root).startswith("root must be a URL path such as /api, ")


def test_bson_needs_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """BSON is refused, with the remedy, where its module is not installed."""
    accepted(bson_enabled=True)

    monkeypatch.setitem(sys.modules, "bson", None)

    assert refusal(bson_enabled=True) == (
        "bson_enabled needs the bson module of pymongo: install toto-gateway[bson]"
    )
    accepted(bson_enabled=False)


def test_app_dir_must_exist_for_local_workers(tmp_path: Path) -> None:
    """The application's folder is looked for when local workers need it."""
    missing = tmp_path / "missing"

    assert refusal(workers=1, app_dir=missing) == (
        f"app_dir must be an existing folder, not '{missing}'"
    )
    accepted(workers=0, app_dir=missing)
    accepted(workers=1, app_dir=tmp_path)


@pytest.mark.parametrize(
    "allow_origin",
    ["*", "https://a.example", "https://a.example, http://localhost:3000", "http://[::1]:80"],
)
def test_allow_origin(allow_origin: str) -> None:
    """Any origin, one, or several may be allowed."""
    assert accepted(allow_origin=allow_origin).allow_origin == allow_origin


@pytest.mark.parametrize(
    "allow_origin", ["a.example", "https://a.example/", "*,https://a.example", "https://a\r\nx: y"]
)
def test_malformed_allow_origin(allow_origin: str) -> None:
    """What no browser sends as an origin is refused, rather than never matched."""
    assert refusal(allow_origin=allow_origin).startswith("allow_origin must be *, or origins")


@pytest.mark.parametrize(
    "address",
    ["ipc:///run/w.sock", "tcp://127.0.0.1:5555", "tcp://localhost:5555", "tcp://[::1]:5555"],
)
def test_worker_address(address: str) -> None:
    """Socket files and loopback addresses need no leave."""
    assert accepted(worker_address=address).worker_address == address


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://x:1", "must begin with ipc:// or tcp://"),
        ("ipc://", "must name a socket file: ipc://PATH"),
        ("tcp://127.0.0.1", "must be of the form tcp://HOST:PORT, with an IPv6 host in brackets"),
        ("tcp://127.0.0.1:*", "must have a port from 1 to 65535, known to both sides"),
        ("tcp://127.0.0.1:0", "must have a port from 1 to 65535, known to both sides"),
    ],
)
def test_malformed_worker_address(address: str, problem: str) -> None:
    """A malformed worker address is refused with what it must be."""
    assert refusal(worker_address=address) == f"worker_address is {address!r}, but {problem}"


def test_worker_path_leaves_room_for_a_suffix() -> None:
    """A socket path has room for the suffix of each gateway process."""
    accepted(worker_address="ipc://" + "p" * 97)

    assert refusal(worker_address="ipc://" + "p" * 98) == (
        "worker_address must have a path of at most 97 bytes"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "10.0.0.1", "gw1"])  # noqa: S104  # refused
def test_plaintext_beyond_this_host_needs_leave(host: str) -> None:
    """Unencrypted traffic that other hosts can reach is refused unless asked for."""
    address = f"tcp://{host}:5555"

    assert refusal(worker_address=address) == (
        f"worker_address is '{address}', which other hosts can reach unencrypted: "
        "listen on loopback or ipc, or set worker_plaintext inside a private network"
    )
    accepted(worker_address=address, worker_plaintext=True)


def test_the_options_of_the_worker_are_known() -> None:
    """What toto-worker alone has may stand in the environment of toto-gateway."""
    own = {entry.name for entry in options_of(GatewaySettings)}
    others = {entry.name for entry in options_of(WorkerSettings)}

    assert set(WORKER_OPTIONS) == others - own


@pytest.mark.parametrize("domain", ["-foo", "foo-", "a b", "a;b", "é.example", "."])
def test_malformed_cookie_domain(domain: str) -> None:
    """A domain that no cookie could be written with is refused before a process is forked."""
    assert refusal(cookie_domain=domain, use_cookies=True) == (
        f"cookie_domain must be a domain such as example.com, not {domain!r}"
    )


@pytest.mark.parametrize("domain", ["example.com", ".example.com", "localhost"])
def test_cookie_domain(domain: str) -> None:
    """A domain may begin with a dot, as was once the custom."""
    assert accepted(cookie_domain=domain, use_cookies=True).cookie_domain == domain
