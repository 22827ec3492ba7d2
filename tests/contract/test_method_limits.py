"""Time limits of a method's own, and methods that may be run again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.http import ConnectionEnded

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers whose gateway gives calls two seconds."""
    options = {"threads": 1, "request_timeout": 2.0}
    with Cluster(tmp_path_factory.mktemp("pool"), options=options) as started:
        yield started


def test_a_short_limit_of_a_method_ends_its_call_early(pool: Cluster) -> None:
    """The call is answered with 1106 although the gateway would wait longer."""
    response = pool.call("limits.short", {"seconds": 30})

    assert response.status == 504
    assert response.json()["error"]["code"] == 1106


def test_a_method_sees_its_own_limit(pool: Cluster) -> None:
    """``handler.deadline`` is the one that counts."""
    assert 0 < pool.call("limits.short").json()["result"] <= 0.5
    assert 50 < pool.call("limits.long").json()["result"] <= 60


def test_a_long_limit_of_a_method_outlasts_the_gateway_s(pool: Cluster) -> None:
    """2.3 seconds, where other methods have two."""
    assert pool.call("limits.long", {"seconds": 2.3}).status == 200


def test_a_called_method_keeps_its_limit_and_its_caller_s(pool: Cluster) -> None:
    """The earlier of the two ends it."""
    short = {"method": "limits.short", "parameters": {"seconds": 30}}
    assert pool.call("calls.ask", short).json()["result"]["code"] == 1106

    long = {"method": "limits.long", "parameters": {}}
    assert 0 < pool.call("calls.ask", long).json()["result"]["got"] <= 2.0


def test_a_member_of_a_batch_has_its_own_limit(pool: Cluster) -> None:
    """The others are not held up by it."""
    entries = pool.batch({"a": member("limits.short", seconds=30), "b": member("echo", n=1)})

    assert entries["a"]["error"]["code"] == 1106
    assert entries["b"] == {"result": {"n": 1}}


def dying(path: Path, deaths: int, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "deaths": deaths, **more}


def test_an_idempotent_method_is_run_again_when_its_worker_dies(
    pool: Cluster, tmp_path: Path
) -> None:
    """The client sees nothing of it; body and parameters are there again."""
    parameters = dying(tmp_path / "runs", 1, text="x" * 400_000)

    response = pool.call("limits.idempotent", parameters)

    assert response.json() == {"result": {"runs": 2, "parameters": parameters}}


def test_it_is_run_again_once(pool: Cluster, tmp_path: Path) -> None:
    """A call that kills its workers must not go through all of them."""
    response = pool.call("limits.idempotent", dying(tmp_path / "runs", 5))

    assert response.status == 502
    assert response.json()["error"]["code"] == 1105
    assert (tmp_path / "runs").read_bytes() == b".."


def test_other_methods_are_not_run_again(pool: Cluster, tmp_path: Path) -> None:
    """Whether the first run did its work is not known."""
    response = pool.call("limits.once", dying(tmp_path / "runs", 1))

    assert response.json()["error"]["code"] == 1105
    assert (tmp_path / "runs").read_bytes() == b"."


def test_what_has_been_answered_in_part_is_not_run_again(pool: Cluster, tmp_path: Path) -> None:
    """The client would get the beginning twice: the connection ends without the last chunk."""
    runs, release = tmp_path / "runs", tmp_path / "release"
    body = json.dumps(dying(runs, 5, streams=str(release))).encode()
    headers = {"Content-Type": "application/json"}
    with pool.connect() as connection:
        connection.request("POST", "/limits/idempotent", headers, body)
        connection.read_head()
        assert connection.read_chunk() == b"begun"
        release.touch()
        with pytest.raises(ConnectionEnded):
            connection.read_chunk()

    assert runs.read_bytes() == b"."


def test_members_of_a_batch_and_called_methods_are_run_again_too(
    pool: Cluster, tmp_path: Path
) -> None:
    """Nothing of theirs had been answered."""
    entries = pool.batch({"a": member("limits.idempotent", **dying(tmp_path / "a", 1))})
    assert entries["a"]["result"]["runs"] == 2

    asked = {"method": "limits.idempotent", "parameters": dying(tmp_path / "b", 1)}
    response = pool.call("calls.ask", asked)
    # The caller may have been on the worker that died, and is not idempotent itself.
    assert response.json().get("result", {}).get("got", {"runs": 2})["runs"] == 2
