"""Which modules are methods, and the kinds of function a method may be (section 1)."""

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import json_lines

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.mark.parametrize(
    "kind", ["plain", "coroutine", "tornado_coroutine", "later", "later_at_once"]
)
def test_a_function_of_any_kind_answers(cluster: Cluster, kind: str) -> None:
    """Plain, coroutine, Tornado coroutine and asynchronous functions all give a result."""
    response = cluster.call(f"kinds.{kind}", {"a": 1})

    assert response.status == 200
    assert response.json() == {"result": [kind, {"a": 1}]}


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_a_generator_of_any_kind_streams(cluster: Cluster, kind: str) -> None:
    """Generators and async generators give one line for each item."""
    response = cluster.call(f"kinds.{kind}", {"a": 1})

    assert json_lines(response.body) == [{"result": kind}, {"result": {"a": 1}}, {"end": True}]


def test_an_asynchronous_method_may_answer_with_an_error_later(cluster: Cluster) -> None:
    """``handler.respond(error=...)`` from another thread is an ordinary error."""
    response = cluster.call("kinds.later", {"code": 4242})

    assert response.json() == {"error": {"code": 4242, "value": "later"}}


@pytest.mark.parametrize(
    ("method", "result"),
    [("aliases.greet", "hello Ada"), ("aliases.twin", {"name": "Ada"})],
)
def test_a_module_re_exported_by_a_package_is_a_method(
    cluster: Cluster, method: str, result: object
) -> None:
    """``import library.greet as greet`` in a package makes package.greet callable."""
    response = cluster.call(method, {"name": "Ada"})

    assert response.json() == {"result": result}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nosuch", id="unknown"),
        pytest.param("kinds", id="package"),
        pytest.param("kinds.nosuch", id="unknown-in-package"),
        pytest.param("echo.invoke", id="function-of-a-method"),
        pytest.param("echo.Any", id="import-of-a-method"),
        pytest.param("_hidden", id="private-module"),
        pytest.param("not_callable", id="invoke-not-callable"),
        pytest.param("aliases.runner", id="object-with-invoke"),
        pytest.param("aliases.function", id="function"),
        pytest.param("aliases.json", id="module-without-invoke"),
        pytest.param("aliases.json.dumps", id="function-of-a-module"),
        pytest.param("toto_test_app.methods.echo", id="full-module-name"),
        pytest.param("__init__", id="dunder"),
        pytest.param("kinds.__init__", id="dunder-in-package"),
        pytest.param("__class__", id="attribute"),
        pytest.param("os.system", id="other-module"),
        pytest.param("Echo", id="other-case"),
        pytest.param(".echo", id="leading-dot"),
        pytest.param("echo.", id="trailing-dot"),
        pytest.param("kinds..plain", id="two-dots"),
        pytest.param("kinds/plain", id="slash"),
        pytest.param("../echo", id="parent"),
        pytest.param(" echo", id="blank"),
        pytest.param("echo\n", id="line-end"),
        pytest.param("écho", id="not-ascii"),
    ],
)
def test_nothing_else_can_be_called(cluster: Cluster, name: str) -> None:
    """A name that is not in the table answers 1001 and names what was asked for."""
    response = cluster.call(name, {})

    assert response.status == 200
    assert response.json() == {"error": {"code": 1001, "value": f"Cannot call '{name}'."}}


@pytest.mark.parametrize(
    "path", ["/nosuch", "/_hidden", "/kinds", "/..%2fecho", "/kinds/%00", "/aliases/runner"]
)
def test_nothing_else_can_be_called_by_url(cluster: Cluster, path: str) -> None:
    """A path is looked up in the same table as a name in a body."""
    response = cluster.get(path)

    assert response.status == 200
    assert response.error["code"] == 1001


def test_a_long_name_is_cut_in_the_error(cluster: Cluster) -> None:
    """At most 64 characters of what the client sent come back."""
    response = cluster.call("a" * 200, {})

    assert response.json() == {"error": {"code": 1001, "value": f"Cannot call '{'a' * 64}'."}}


@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_a_request_without_method_says_so(cluster: Cluster, verb: str) -> None:
    """Neither the URL nor the body names a method."""
    body = b'{"parameters": {}}' if verb == "POST" else None

    response = cluster.send(verb, "/", {}, body)

    assert response.status == 200
    assert response.json() == {"error": {"code": 1002, "value": "Missing method."}}


def test_imports_of_workers_do_not_reach_the_gateway(cluster: Cluster) -> None:
    """User code is imported by the workers and by nobody else."""
    assert len(cluster.worker_pids()) == 2
    assert len(cluster.gateway_pids()) == 1
