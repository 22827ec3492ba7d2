"""The HTTP status of errors that methods raise: 200, or mapped when asked for (section 3)."""

from collections.abc import Iterator

import pytest

from toto_testkit.cluster import Cluster, member

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

CODES = [1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1010]


@pytest.fixture(scope="module")
def http_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that tells errors by the HTTP status too."""
    options = {"error_status": "http"}
    with Cluster(tmp_path_factory.mktemp("http-status"), workers=1, options=options) as started:
        yield started


@pytest.mark.parametrize("code", CODES)
def test_toto_clients_find_errors_under_status_200(cluster: Cluster, code: int) -> None:
    """By default an error a method raises is answered with 200."""
    response = cluster.call("fail", {"code": code, "value": "as raised"})

    assert response.status == 200
    assert response.json() == {"error": {"code": code, "value": "as raised"}}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (1000, 500),
        (1001, 404),
        (1002, 400),
        (1003, 400),
        (1004, 401),
        (1005, 401),
        (1006, 409),
        (1007, 401),
        (1008, 401),
        (1010, 400),
    ],
)
def test_error_status_http_maps_codes(http_cluster: Cluster, code: int, status: int) -> None:
    """With ``error_status = "http"`` the status follows the code; the body stays the same."""
    response = http_cluster.call("fail", {"code": code, "value": "as raised"})

    assert response.status == status
    assert response.json() == {"error": {"code": code, "value": "as raised"}}


@pytest.mark.parametrize(
    ("target", "body", "code", "status"),
    [
        ("/fail", b"{}", 1000, 500),
        ("/nosuch", b"{}", 1001, 404),
        ("/", b"{}", 1002, 400),
        ("/streams/numbers", b'{"count": 3, "fail_at": 0, "code": 1003}', 1003, 400),
        ("/", b"no json", 1100, 400),
    ],
)
def test_error_status_http_maps_every_origin(
    http_cluster: Cluster, target: str, body: bytes, code: int, status: int
) -> None:
    """It makes no difference whether the method, the worker or the gateway made the error."""
    response = http_cluster.send("POST", target, {}, body)

    assert (response.error["code"], response.status) == (code, status)


def test_error_status_http_leaves_results_and_batches_alone(http_cluster: Cluster) -> None:
    """A result and a batch with failed members are still 200."""
    result = http_cluster.call("echo", 1)
    batch = http_cluster.batch({"bad": member("nosuch"), "good": member("echo", a=1)})

    assert result.status == 200
    assert batch["bad"]["error"]["code"] == 1001
    assert batch["good"] == {"result": {"a": 1}}
