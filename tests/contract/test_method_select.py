"""The options that say where the method's name is found: ``root`` and ``method_select``."""

from collections.abc import Iterator

import pytest

from toto_testkit.cluster import Cluster

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(scope="module")
def by_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster under a path of its own that takes the method from the URL only."""
    options = {"method_select": "url", "root": "/api/v1"}
    with Cluster(tmp_path_factory.mktemp("by-url"), workers=1, options=options) as started:
        yield started


@pytest.fixture(scope="module")
def by_parameter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that takes the method from the body only."""
    options = {"method_select": "parameter"}
    with Cluster(tmp_path_factory.mktemp("by-body"), workers=1, options=options) as started:
        yield started


def test_both_prefers_the_url(cluster: Cluster) -> None:
    """By default a method in the URL wins over one in the body."""
    response = cluster.post({"method": "fail", "parameters": {"a": 1}}, "/echo")

    assert response.json() == {"result": {"a": 1}}


def test_both_falls_back_to_the_body(cluster: Cluster) -> None:
    """By default a URL without a path leaves the choice to the body."""
    response = cluster.post({"method": "echo", "parameters": {"a": 1}})

    assert response.json() == {"result": {"a": 1}}


def test_url_ignores_the_method_of_the_body(by_url: Cluster) -> None:
    """With ``url`` the body's method is never run."""
    named = by_url.post({"method": "fail", "parameters": {"a": 1}}, "/api/v1/echo")
    unnamed = by_url.post({"method": "echo", "parameters": {"a": 1}}, "/api/v1/")

    assert named.json() == {"result": {"a": 1}}
    assert unnamed.json() == {"error": {"code": 1002, "value": "Missing method."}}


def test_parameter_ignores_the_method_of_the_url(by_parameter: Cluster) -> None:
    """With ``parameter`` the URL's path is never run."""
    named = by_parameter.post({"method": "echo", "parameters": {"a": 1}}, "/fail")
    unnamed = by_parameter.post({"parameters": {"a": 1}}, "/echo")

    assert named.json() == {"result": {"a": 1}}
    assert unnamed.json() == {"error": {"code": 1002, "value": "Missing method."}}


def test_root_is_a_prefix_of_the_path(by_url: Cluster) -> None:
    """Below the root the path is the method, packages included."""
    response = by_url.get("/api/v1/kinds/plain?a=1")

    assert response.json() == {"result": ["plain", {"a": "1"}]}


@pytest.mark.parametrize("path", ["/echo", "/", "/api/echo", "/api/v1echo", "/api/v2/echo"])
def test_nothing_is_called_outside_the_root(by_url: Cluster, path: str) -> None:
    """A path that does not begin with the root calls no method."""
    response = by_url.get(f"{path}?a=1")

    assert b'"result"' not in response.body


def test_probes_stay_outside_the_root(by_url: Cluster) -> None:
    """An orchestrator finds the probes at the same place whatever the root is."""
    assert by_url.get("/livez").status == 200
    assert by_url.get("/readyz").status == 200
