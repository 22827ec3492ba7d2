"""What an application sets in its startup function holds in every gateway and worker process."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import TEST_APP_DIRECTORY, Cluster
from toto_testkit.fixtures import InBackground
from toto_testkit.processes import command_path
from toto_testkit.sessions import new_client


def serving(directory: Path, function: str, **options: Any) -> Cluster:
    directory.mkdir()
    sessions = directory / "sessions"
    sessions.mkdir()
    return Cluster(
        directory,
        options={
            "sqlite_path": str(directory / "toto.db"),
            "startup_function": f"toto_test_app.startup.{function}",
            "processes": 2,
            **options,
        },
        environment={"TEST_APP_SESSIONS": str(sessions)},
    )


@pytest.fixture(scope="module")
def caching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with serving(tmp_path_factory.mktemp("caching") / "c", "own_cache") as cluster:
        yield cluster


def cache_directory(cluster: Cluster) -> Path:
    return cluster.directory / "sessions"


def test_an_own_cache_keeps_the_sessions(caching: Cluster) -> None:
    """Login, state, login again and logout go through it, whichever process is asked."""
    client = new_client(caching)
    assert [client.call("session.counter").result for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert len(list(cache_directory(caching).iterdir())) >= 1

    client.call("account.logout")

    assert client.call("session.counter").error["code"] == 1004


def test_a_slow_own_cache_holds_up_nobody_else(
    caching: Cluster, in_background: InBackground
) -> None:
    """It is asked in threads: ten loads of 0.3 s go side by side, and other calls pass them."""
    client = new_client(caching)
    mark = cache_directory(caching) / "slow"
    mark.touch()
    try:
        slow = [in_background(client.call, "session.secret") for _ in range(10)]
        passed = [caching.call("echo", {"n": n}).result for n in range(20)]
        still_waiting = sum(not each.done() for each in slow)
        results = [each.result().result for each in slow]
    finally:
        mark.unlink()

    assert len(passed) == 20
    assert still_waiting == 10
    assert results == [f"for {client.user_id}"] * 10


def test_an_own_cache_that_fails_is_a_store_that_is_away(caching: Cluster) -> None:
    """The client gets 1107, the log the reason; methods without a session go on."""
    client = new_client(caching)
    mark = cache_directory(caching) / "broken"
    mark.touch()
    try:
        response = client.call("session.secret")
        assert (response.status, response.error["code"]) == (503, 1107)
        assert caching.call("echo", {"n": 1}).status == 200
    finally:
        mark.unlink()

    assert "the disk is gone" in caching.output()


def test_client_tokens_can_be_set_in_code(tmp_path: Path) -> None:
    """Toto's applications did it in this way; the id grows into a token."""
    with serving(tmp_path / "c", "client_cache", hmac_enabled=True) as cluster:
        client = new_client(cluster, "v1")
        assert client.session_id is not None
        assert len(client.session_id) > 100
        assert client.call("session.counter").result == 1


def test_the_serializer_of_both_sides_is_the_application_s(tmp_path: Path) -> None:
    """A batch's changes are applied in the gateway, with the same one."""
    with serving(tmp_path / "c", "json_state") as cluster:
        client = new_client(cluster)
        member = {"method": "session.remember", "parameters": {"name": "a", "value": [1]}}
        other = {"method": "session.remember", "parameters": {"name": "b", "value": 2}}
        client.batch(one=member, two=other)
        assert client.call("session.recall").result == {"a": [1], "b": 2}


def test_own_signatures_take_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    """Both ways: a request by the application's rule passes, and the answer is signed by it."""
    with serving(tmp_path / "c", "own_signatures", hmac_enabled=True) as cluster:
        client = new_client(cluster)
        body = b'{"method": "session.secret", "parameters": {}}'
        headers = {
            "content-type": "application/json",
            "x-toto-session-id": client.session_id or "",
            "x-toto-hmac": f"{client.user_id} POST / {len(body)}",
        }

        right = cluster.send("POST", "/", headers, body)
        wrong = cluster.send("POST", "/", headers, body + b" ")

        assert right.result == f"for {client.user_id}"
        assert right.headers["x-toto-hmac"] == f"{client.user_id} {len(right.body)}"
        assert wrong.error == {"code": 1008, "value": "not by our rule"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("toto_test_app.startup.broken", "no configuration"),
        ("toto_test_app.startup.missing", "has no function missing"),
        ("no_such_module.start", "No module named 'no_such_module'"),
    ],
)
def test_a_startup_function_that_fails_ends_the_command(
    tmp_path: Path, name: str, told: str
) -> None:
    """Exit code 3, one sentence and the application's traceback."""
    done = subprocess.run(
        [
            command_path("toto-gateway"),
            "--port=0",
            f"--app-dir={TEST_APP_DIRECTORY}",
            f"--startup-function={name}",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=tmp_path,
        check=False,
    )

    assert done.returncode == 3
    assert told in done.stderr
    assert "toto-gateway: error:" in done.stderr
