"""HTTP verbs: HEAD without a body, CORS preflight, everything else refused (section 2)."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

ALLOWED_HEADERS = {
    "x-toto-hmac",
    "x-toto-session-id",
    "origin",
    "content-type",
    "x-request-id",
    "idempotency-key",
    "traceparent",
}


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


def test_head_runs_the_method_and_sends_no_body(cluster: Cluster, tmp_path: Path) -> None:
    """The method runs with ``headers_only`` set; the connection then serves the next request."""
    path = tmp_path / "headers_only"

    with cluster.connect() as connection:
        connection.request("HEAD", f"/handler_facts?{urlencode({'path': path})}")
        head = connection.read_response("HEAD")
        connection.request("GET", "/echo?a=1")
        following = connection.read_response("GET")

    assert head.status == 200
    assert head.content_type == "application/json"
    poll_until(path.exists)
    assert path.read_text() == "True"
    assert following.json() == {"result": {"a": "1"}}


@pytest.mark.parametrize(
    "target",
    [
        "/echo",
        "/nosuch",
        "/",
        "/fail",
        "/streams/numbers?count=3",
        "/streams/numbers?count=3&fail_at=2",
        "/raw/page",
        "/raw/parts",
        "/livez",
        "/readyz",
    ],
)
def test_head_never_has_a_body(cluster: Cluster, target: str) -> None:
    """Neither a result nor an error, a stream or a raw answer follows the headers."""
    with cluster.connect() as connection:
        connection.request("HEAD", target, {"Connection": "close"})
        connection.read_head()

        assert connection.read_to_end() == b""


@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_other_verbs_are_not_headers_only(cluster: Cluster, verb: str) -> None:
    """``headers_only`` is set for HEAD alone."""
    body = b"{}" if verb == "POST" else None

    response = cluster.send(verb, "/handler_facts", {}, body)

    assert response.result["headers_only"] is False


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "PROPFIND"])
def test_other_verbs_are_refused(cluster: Cluster, verb: str) -> None:
    """A verb the gateway does not serve answers 405 and names those it does."""
    response = cluster.send(verb, "/echo", {}, b"{}")

    assert response.status == 405
    assert names(response.headers["allow"]) == {"post", "get", "head", "options"}


def test_options_answers_a_preflight(cluster: Cluster) -> None:
    """The browser learns the origin, the verbs and the headers it may use, and may read."""
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-evil",
    }

    response = cluster.send("OPTIONS", "/echo", headers)

    assert response.status in {200, 204}
    assert response.body == b""
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert names(response.headers["access-control-allow-methods"]) >= {"post", "get", "head"}
    assert names(response.headers["access-control-allow-headers"]) == ALLOWED_HEADERS
    assert names(response.headers["access-control-expose-headers"]) == {
        "x-toto-hmac",
        "x-request-id",
        "retry-after",
    }


@pytest.mark.parametrize("method", ["echo", "nosuch"])
def test_an_answer_may_be_read_by_the_allowed_origin(cluster: Cluster, method: str) -> None:
    """Results and errors carry the origin, without which a browser hides them from its page."""
    response = cluster.call(method, {}, headers={"Origin": "https://app.example"})

    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-request-id" in names(response.headers["access-control-expose-headers"])


@pytest.mark.parametrize(("probe", "status"), [("/livez", 200), ("/readyz", 200)])
def test_probes_answer_while_the_cluster_serves(cluster: Cluster, probe: str, status: int) -> None:
    """A gateway with workers is alive and ready."""
    assert cluster.get(probe).status == status
