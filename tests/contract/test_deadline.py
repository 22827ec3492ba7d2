"""Calls that take longer than the cluster allows: 1106 (section 3)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

ANSWERED_WITHIN_SECONDS = 2.0  # the limit is 0.5 s


@pytest.fixture(scope="module")
def hasty_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that gives each call half a second."""
    options = {"request_timeout": 0.5, "threads": 4}
    with Cluster(tmp_path_factory.mktemp("hasty"), options=options) as started:
        yield started


@pytest.mark.parametrize("method", ["sleep", "wait"])
def test_a_call_past_its_deadline_is_answered(hasty_cluster: Cluster, method: str) -> None:
    """The client gets 504 soon after the deadline, whatever the method is doing."""
    started_at = time.monotonic()

    response = hasty_cluster.call(method, {"seconds": 3})

    assert time.monotonic() - started_at < ANSWERED_WITHIN_SECONDS
    assert response.status == 504
    assert response.error["code"] == 1106
    assert isinstance(response.error["retryable"], bool)
    assert response.error["request_id"] == response.headers["x-request-id"]


def test_a_call_within_its_deadline_is_served(hasty_cluster: Cluster) -> None:
    """Half of the time allowed is no reason to fail."""
    assert hasty_cluster.call("wait", {"seconds": 0.25}).result == 0.25


def test_a_late_result_reaches_nobody_else(hasty_cluster: Cluster) -> None:
    """The connection of a call that ran out of time serves the next call with its own result."""
    late = b'{"method": "sleep", "parameters": {"seconds": 0.8}}'
    following = b'{"method": "wait", "parameters": {"seconds": 0.4}}'

    with hasty_cluster.connect() as connection:
        connection.request("POST", "/", {}, late)
        assert connection.read_response().status == 504
        connection.request("POST", "/", {}, following)

        assert connection.read_response().result == 0.4


def test_a_coroutine_past_its_deadline_is_cancelled(hasty_cluster: Cluster, tmp_path: Path) -> None:
    """A coroutine does not go on for a client that has its answer."""
    cancelled = tmp_path / "cancelled"

    hasty_cluster.call("wait", {"seconds": 20, "cancelled": str(cancelled)})

    poll_until(cancelled.exists, message="the coroutine is cancelled")


def test_a_member_past_its_deadline_fails_alone(hasty_cluster: Cluster) -> None:
    """The other members of a batch keep their results."""
    entries = hasty_cluster.batch(
        {"late": member("wait", seconds=20), "early": member("wait", seconds=0.1)}
    )

    assert entries["late"]["error"]["code"] == 1106
    assert entries["early"] == {"result": 0.1}
