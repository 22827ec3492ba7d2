"""What methods do wrong with sessions and errors ends as their own call's answer."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.sessions import new_user_id
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

METHODS = {
    "create": "import toto.methods.account.create as account\ninvoke = account.invoke\n",
    "spoil": """
import threading
from toto.exceptions import TotoException
from toto.invocation import anonymous_session

VALUES = {
    "user": ("user_id", 42), "surrogate": ("user_id", "\\ud800"), "key": ("key", None),
    "id": ("session_id", 5), "expires": ("expires", float("nan")),
}


@anonymous_session
def invoke(handler, parameters):
    setattr(handler.session, *VALUES[parameters["what"]])
    way = parameters["way"]
    if way == "raise":
        raise TotoException(4242, "mine")
    if way == "raw":
        handler.respond_raw(b"raw", "text/plain")
    elif way == "thread":
        thread = threading.Thread(target=handler.respond, args=("from a thread",))
        thread.start()
        thread.join()
    elif way == "stream":
        return iter_items()
    return "result"


def iter_items():
    yield 1
""",
    "late": """
from toto.invocation import anonymous_session


@anonymous_session
def invoke(handler, parameters):
    return items(handler)


def items(handler):
    yield 1
    handler.session.user_id = 42
""",
    "overloaded": """
from toto.exceptions import TotoException

VALUES = {
    "none": None, "text": "soon", "nan": float("nan"), "inf": float("inf"), "zero": 0,
    "negative": -5, "list": [1], "fraction": 1.2, "huge": 10**400, "day": 86400,
}


def invoke(handler, parameters):
    error = TotoException(parameters["code"], "later")
    error.retry_after_seconds = VALUES[parameters["seconds"]]
    raise error
""",
    "visitor": """
from toto.invocation import anonymous_session


@anonymous_session
async def invoke(handler, parameters):
    return handler.session.user_id
""",
    "hog": """
import asyncio
import time
from pathlib import Path


def wait(path):
    give_up_at = time.monotonic() + 20
    while not Path(path).exists() and time.monotonic() < give_up_at:
        time.sleep(0.01)


async def invoke(handler, parameters):
    loop = asyncio.get_running_loop()
    waits = [loop.run_in_executor(None, wait, parameters["until"]) for _ in range(64)]
    Path(parameters["begun"]).touch()
    await asyncio.gather(*waits)
    return len(waits)
""",
}

ON_START = """
import logging
from toto.session import TotoSessionCache


class Telling(TotoSessionCache):
    def store_session(self, session_data):
        logging.getLogger("own").warning("a session is stored")

    def load_session(self, session_id):
        return None


def begin(db_connection):
    db_connection.set_session_cache(Telling())
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("mistakes")
    package = directory / "mistaken"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, text in METHODS.items():
        (package / f"{name}.py").write_text(text)
    (directory / "on_start.py").write_text(ON_START)
    arguments = ("--app-dir", str(directory), "--method-module", "mistaken")
    options = {"startup_function": "on_start.begin", "sqlite_path": str(directory / "t.db")}
    with Cluster(directory, workers=1, options=options, arguments=arguments) as started:
        yield started


FIELDS = {
    "user": "The session's user_id must be None or a text.",
    "surrogate": "The session's user_id must be None or a text.",
    "key": "The session's key must be a text.",
    "id": "The session's session_id must be a text that a header can hold.",
    "expires": "The session's expires must be a number of seconds.",
}


@pytest.mark.parametrize("what", FIELDS)
@pytest.mark.parametrize("way", ["return", "raw", "thread"])
def test_a_session_that_cannot_be_sent_is_the_call_s_error(
    cluster: Cluster, what: str, way: str
) -> None:
    """1000 with the field's name and no session; the worker answers the next call."""
    answer = cluster.call("spoil", {"what": what, "way": way}).json()

    assert answer == {"error": {"code": 1000, "value": FIELDS[what]}}
    assert cluster.call("visitor").json()["result"] is None
    assert FIELDS[what] in cluster.output()


def test_the_method_s_own_error_comes_first(cluster: Cluster) -> None:
    """The session's is in the log."""
    answer = cluster.call("spoil", {"what": "user", "way": "raise"}).json()

    assert answer == {"error": {"code": 4242, "value": "mine"}}


def test_a_stream_ends_with_the_session_s_error(cluster: Cluster) -> None:
    """Before its first item or after its last, the client gets an answer that ends."""
    begun = cluster.call("spoil", {"what": "user", "way": "stream"})
    late = cluster.call("late")

    assert begun.json()["error"]["value"] == FIELDS["user"]
    assert FIELDS["user"].encode() in late.body


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ("none", "1"),
        ("text", "1"),
        ("nan", "1"),
        ("inf", "1"),
        ("zero", "1"),
        ("negative", "1"),
        ("list", "1"),
        ("fraction", "2"),
        ("huge", "86400"),
        ("day", "86400"),
    ],
)
def test_any_time_to_wait_keeps_the_error(cluster: Cluster, seconds: str, told: str) -> None:
    """What is no number of seconds counts as one second, and more than a day as a day."""
    response = cluster.call("overloaded", {"code": 1103, "seconds": seconds})

    assert response.error["code"] == 1103
    assert response.error["retryable"] is True
    assert response.headers["retry-after"] == told


def test_methods_that_use_up_the_loop_s_threads_hold_up_no_session(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The sessions of coroutines are made in threads of their own."""
    begun, until = tmp_path / "begun", tmp_path / "until"
    answers: list[Any] = []
    parameters = {"begun": str(begun), "until": str(until)}
    hog = threading.Thread(target=lambda: answers.append(cluster.call("hog", parameters).json()))
    hog.start()
    try:
        poll_until(begun.exists, 10.0, "the loop's threads are busy")
        visitor = cluster.call("visitor")
        assert visitor.json()["session"]["user_id"] is None
        assert answers == []
    finally:
        until.touch()
        hog.join()
    assert answers == [{"result": 64}]


def test_what_is_logged_about_a_coroutine_s_session_names_the_request(cluster: Cluster) -> None:
    """Although it is made in another thread."""
    request_id = cluster.call("visitor").headers["x-request-id"]

    lines = [line for line in cluster.output().splitlines() if "a session is stored" in line]
    assert lines[-1].endswith(f" request_id={request_id}")


def test_row_23_creations_from_an_address_are_limited_by_the_method(
    tmp_path: Path,
) -> None:
    """account.create tells the client's address."""
    package = tmp_path / "mistaken"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "create.py").write_text(METHODS["create"])
    options = {"sqlite_path": str(tmp_path / "t.db"), "login_attempts_per_address": 2}
    arguments = ("--app-dir", str(tmp_path), "--method-module", "mistaken")
    with Cluster(tmp_path, workers=1, options=options, arguments=arguments) as cluster:
        answers = [
            cluster.call("create", {"user_id": new_user_id(), "password": "pw"}) for _ in range(3)
        ]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].error["code"] == 1103
