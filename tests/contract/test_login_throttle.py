"""Attempts at passwords are limited per account and per address (row 23)."""

import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.sessions import PASSWORD, new_user_id
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

WINDOW_SECONDS = 4.0


@dataclass(frozen=True)
class Visitor:
    """Somebody with an address of one's own; all of 127.0.0.0/8 is this machine."""

    cluster: Cluster
    address: str

    def call(
        self, method: str, parameters: Any, session_id: str = ""
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and decoded body."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.cluster.port, timeout=15, source_address=(self.address, 0)
        )
        headers = {"Content-Type": "application/json"}
        if session_id:
            headers["x-toto-session-id"] = session_id
        try:
            body = json.dumps({"method": method, "parameters": parameters})
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            names = {name.lower(): text for name, text in response.getheaders()}
            return response.status, names, json.loads(response.read())
        finally:
            connection.close()

    def login(self, user_id: str, password: str) -> tuple[int, dict[str, str], Any]:
        return self.call("account.login", {"user_id": user_id, "password": password})

    def code(self, user_id: str, password: str) -> int:
        """Return the error code of a login, 0 for none."""
        answer = self.login(user_id, password)[2]
        return int(answer.get("error", {"code": 0})["code"])

    def create(self) -> str:
        user_id = new_user_id()
        _, _, answer = self.call("account.create", {"user_id": user_id, "password": PASSWORD})
        assert answer["result"]["user_id"] == user_id
        return user_id


@pytest.fixture(scope="module")
def throttled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three wrong passwords for an account from an address, six for any, in 4 s."""
    directory = tmp_path_factory.mktemp("throttled")
    options = {
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "login_attempts": 3,
        "login_attempts_per_address": 6,
        "login_window": WINDOW_SECONDS,
    }
    with Cluster(directory, workers=2, options=options) as started:
        yield started


@pytest.fixture(scope="module")
def new_visitor(throttled: Cluster) -> Callable[[], Visitor]:
    numbers = itertools.count(10)
    return lambda: Visitor(throttled, f"127.1.2.{next(numbers)}")


def test_too_many_wrong_passwords_are_refused(new_visitor: Callable[[], Visitor]) -> None:
    """1103 with status 429 and the time to wait, for the right password too: it stays unknown."""
    visitor = new_visitor()
    user_id = visitor.create()

    wrong = [visitor.code(user_id, "wrong") for _ in range(3)]
    status, headers, answer = visitor.login(user_id, "wrong")
    right = visitor.login(user_id, PASSWORD)

    assert wrong == [1005, 1005, 1005]
    assert status == 429
    assert answer["error"]["code"] == 1103
    assert answer["error"]["retryable"] is True
    assert answer["error"]["request_id"] == headers["x-request-id"]
    assert 1 <= int(headers["retry-after"]) <= WINDOW_SECONDS
    assert "session" not in answer
    assert (right[0], right[2]["error"]["code"]) == (429, 1103)


def test_unknown_users_are_counted_like_known_ones(new_visitor: Callable[[], Visitor]) -> None:
    """The limit does not tell which accounts exist (row 22)."""
    visitor = new_visitor()
    user_id = new_user_id()

    assert [visitor.code(user_id, "wrong") for _ in range(4)] == [1005, 1005, 1005, 1103]


def test_spellings_of_a_user_id_share_a_limit(new_visitor: Callable[[], Visitor]) -> None:
    """Case is no way to get more attempts."""
    visitor = new_visitor()
    user_id = visitor.create()

    codes = [visitor.code(text, "w") for text in (user_id, user_id.upper(), user_id.title())]

    assert codes == [1005] * 3
    assert visitor.code(user_id, PASSWORD) == 1103


def test_nobody_locks_a_user_out(new_visitor: Callable[[], Visitor]) -> None:
    """The owner comes from another address and is let in; sessions that are open stay so."""
    owner, attacker = new_visitor(), new_visitor()
    user_id = owner.create()
    session_id = owner.login(user_id, PASSWORD)[2]["result"]["session_id"]

    codes = [attacker.code(user_id, "wrong") for _ in range(5)]

    assert codes == [1005, 1005, 1005, 1103, 1103]
    assert owner.code(user_id, PASSWORD) == 0
    assert owner.call("session.secret", {}, session_id)[2]["result"] == f"for {user_id}"


def test_an_address_has_a_limit_over_all_accounts(new_visitor: Callable[[], Visitor]) -> None:
    """One guess at each of many accounts ends as well, for accounts not yet tried."""
    visitor, other = new_visitor(), new_visitor()
    user_id = other.create()

    codes = [visitor.code(new_user_id(), "wrong") for _ in range(7)]
    status, headers, _ = visitor.login(user_id, PASSWORD)

    assert codes == [1005] * 6 + [1103]
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    assert other.code(user_id, PASSWORD) == 0


def test_forwarded_addresses_are_not_believed(new_visitor: Callable[[], Visitor]) -> None:
    """A header of the client's own is no way to be somebody else."""
    visitor = new_visitor()
    user_id = visitor.create()
    codes = []

    for number in range(5):
        headers = {"X-Forwarded-For": f"10.0.0.{number}", "X-Real-Ip": f"10.0.0.{number}"}
        connection = http.client.HTTPConnection(
            "127.0.0.1", visitor.cluster.port, timeout=15, source_address=(visitor.address, 0)
        )
        parameters = {"user_id": user_id, "password": "wrong"}
        body = json.dumps({"method": "account.login", "parameters": parameters})
        connection.request("POST", "/", body, {"Content-Type": "application/json", **headers})
        codes.append(json.loads(connection.getresponse().read())["error"]["code"])
        connection.close()

    assert codes == [1005, 1005, 1005, 1103, 1103]


def test_right_passwords_are_not_counted(new_visitor: Callable[[], Visitor]) -> None:
    """Who logs in often is not refused."""
    visitor = new_visitor()
    user_id = visitor.create()

    assert [visitor.code(user_id, PASSWORD) for _ in range(9)] == [0] * 9


def test_a_change_of_the_password_is_an_attempt(new_visitor: Callable[[], Visitor]) -> None:
    """A stolen session is no way to try passwords without a limit."""
    visitor = new_visitor()
    user_id = visitor.create()
    session_id = visitor.login(user_id, PASSWORD)[2]["result"]["session_id"]
    change = {"user_id": user_id, "password": "wrong", "new_password": "x" * 20}

    answers = [visitor.call("account.update", change, session_id) for _ in range(4)]

    assert [answer[2]["error"]["code"] for answer in answers] == [1005, 1005, 1005, 1103]
    assert answers[3][0] == 429


def test_a_batch_is_no_way_around(new_visitor: Callable[[], Visitor]) -> None:
    """Ten logins in one request are ten attempts."""
    visitor = new_visitor()
    user_id = visitor.create()
    parameters = {"user_id": user_id, "password": "wrong"}
    members = {f"k{n}": {"method": "account.login", "parameters": parameters} for n in range(10)}
    connection = http.client.HTTPConnection(
        "127.0.0.1", visitor.cluster.port, timeout=15, source_address=(visitor.address, 0)
    )
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/", json.dumps({"batch": members}), headers)
    entries = json.loads(connection.getresponse().read())["batch"]
    connection.close()

    codes = sorted(entry["error"]["code"] for entry in entries.values())
    assert codes == [1005] * 3 + [1103] * 7


def test_after_the_window_attempts_count_anew(new_visitor: Callable[[], Visitor]) -> None:
    """Nobody is refused for ever: after the time told, the right password is let in."""
    visitor = new_visitor()
    user_id = visitor.create()
    codes = [visitor.code(user_id, "wrong") for _ in range(4)]
    began_at = time.monotonic()

    poll_until(lambda: visitor.code(user_id, PASSWORD) == 0, 3 * WINDOW_SECONDS, "let in again")

    assert codes == [1005, 1005, 1005, 1103]
    assert time.monotonic() - began_at > WINDOW_SECONDS / 4
