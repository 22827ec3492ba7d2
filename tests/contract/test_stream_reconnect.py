"""A browser's EventSource comes back by itself; the method must not run again for that."""

from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def test_an_event_source_that_comes_back_is_told_to_stop(cluster: Cluster, tmp_path: Path) -> None:
    """204 ends an EventSource; the method is not called."""
    started = tmp_path / "started"
    target = f"/gate?started={started}&release={tmp_path}/release&closed="

    answer = cluster.get(target, {"Accept": "text/event-stream", "Last-Event-ID": "7"})

    assert answer.status == 204
    assert answer.body == b""
    assert not started.exists()
