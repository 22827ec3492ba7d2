"""Batches that are too large, of a wrong shape, or full of junk (section 4)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.http import Response

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(scope="module")
def narrow_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for batches of three members."""
    options = {"batch_max": 3}
    with Cluster(tmp_path_factory.mktemp("narrow"), workers=1, options=options) as started:
        yield started


def assert_malformed(response: Response) -> None:
    """Check that the whole request was refused."""
    assert response.status == 400
    assert response.error["code"] == 1100
    assert response.error["retryable"] is False
    assert response.error["request_id"] == response.headers["x-request-id"]


def members(count: int) -> dict[str, Any]:
    return {f"k{number}": member("echo") for number in range(count)}


def test_a_hundred_members_are_the_default_limit(cluster: Cluster) -> None:
    """The hundredth member is served, a hundred and first is refused with the rest."""
    assert len(cluster.batch(members(100))) == 100
    assert_malformed(cluster.post({"batch": members(101)}))


def test_batch_max_sets_the_limit(narrow_cluster: Cluster) -> None:
    """The option decides how many members are allowed."""
    assert len(narrow_cluster.batch(members(3))) == 3
    assert_malformed(narrow_cluster.post({"batch": members(4)}))


@pytest.mark.parametrize("character", ["k", "ü"])
def test_a_key_has_at_most_64_characters(cluster: Cluster, character: str) -> None:
    """Characters are counted, not bytes."""
    assert cluster.batch({character * 64: member("echo")}) == {character * 64: {"result": {}}}
    assert_malformed(cluster.post({"batch": {character * 65: member("echo")}}))


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
@pytest.mark.parametrize("batch", [[], [member("echo")], "text", 5, True])
def test_a_batch_that_is_no_object_is_refused(
    cluster: Cluster, body_format: Format, batch: Any
) -> None:
    """A batch maps keys to calls; anything else is malformed."""
    body = {"batch": batch}

    response = cluster.post(body, body_format=body_format)

    assert response.status == 400
    assert body_format.loads(response.body)["error"]["code"] == 1100


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(5, id="number"),
        pytest.param("echo", id="text"),
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param({"parameters": {}}, id="no-method"),
        pytest.param({"method": 5, "parameters": {}}, id="method-number"),
        pytest.param({"method": ["echo"], "parameters": {}}, id="method-list"),
        pytest.param({"method": {"echo": 1}, "parameters": {}}, id="method-object"),
        pytest.param({"batch": {"k": member("echo")}}, id="batch-in-batch"),
    ],
)
def test_a_junk_member_fails_alone(cluster: Cluster, junk: Any) -> None:
    """A member that is no call has an error under its key, the others have results."""
    entries = cluster.batch({"junk": junk, "good": member("echo", a=1)})

    assert sorted(entries) == ["good", "junk"]
    assert entries["good"] == {"result": {"a": 1}}
    assert entries["junk"]["error"]["code"] in {1002, 1100}


def test_junk_inside_parameters_is_the_method_s_affair(cluster: Cluster) -> None:
    """Nested batches, methods and odd keys in parameters are plain values."""
    junk = {"batch": {"": [None]}, "method": 5, "": {"parameters": [[[]]]}, "$where": "1"}

    entries = cluster.batch({"": {"method": "echo", "parameters": junk}})

    assert entries == {"": {"result": junk}}


def test_nothing_of_a_refused_batch_runs(cluster: Cluster, tmp_path: Path) -> None:
    """A batch over the limit is refused before its first member starts."""
    ran, ran_later = tmp_path / "ran", tmp_path / "ran-later"
    batch = {"first": member("handler_facts", path=str(ran)), **members(100)}

    assert_malformed(cluster.post({"batch": batch}))
    assert cluster.call("handler_facts", {"path": str(ran_later)}).status == 200

    assert ran_later.exists()
    assert not ran.exists()
