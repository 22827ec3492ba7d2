"""``call_method`` with sessions and accounts."""

from typing import Any

from toto.exceptions import ERROR_MISSING_PARAMS, ERROR_NOT_AUTHORIZED
from toto.invocation import (
    anonymous_session,
    authenticated,
    authenticated_with_parameter,
    requires,
)
from toto.testing import call_method
from toto_testkit.sample_methods import count, whose

ADA = {"user_id": "ada", "count": 1}


def test_a_session_of_a_user() -> None:
    """The method sees its variables, and the test what was saved."""
    answer = call_method(count, {}, session=ADA)

    assert answer.result == 2
    assert answer.session is not None
    assert answer.session.user_id == "ada"
    assert answer.session.state == {"count": 2}


def test_what_was_not_saved_is_lost() -> None:
    """As when served."""
    answer = call_method(count, {"save": False}, session=ADA)

    assert answer.result == 2
    assert answer.session is not None
    assert answer.session["count"] == 1


def test_no_session_and_an_anonymous_one() -> None:
    """Neither is a user's."""
    nobody = call_method(count, {})
    guest = call_method(count, {}, session={"count": 1})

    assert nobody.error is not None
    assert guest.error is not None
    assert nobody.error.code == guest.error.code == ERROR_NOT_AUTHORIZED
    assert guest.session is not None
    assert (guest.session.user_id, guest.session["count"]) == (None, 1)


def test_a_session_goes_from_call_to_call() -> None:
    """The next call has the accounts and sessions of the one before."""
    first = call_method(anonymous_session(lambda handler, _: handler.session.save()))
    login = call_method(
        "toto.methods.account.login",
        {"user_id": "ada", "password": "pw"},
        session=first.session,
        accounts={"ada": "pw"},
    )
    again = call_method(whose, session=login.session)
    logout = call_method("toto.methods.account.logout", session=login.session)
    after = call_method(whose, session=login.session)

    assert again.result == "ada"
    assert logout.session is None
    assert after.result is None


def test_accounts() -> None:
    """Passwords are checked, properties are there, and passwords can be changed."""
    accounts: dict[str, Any] = {"ada": {"password": "pw", "hats": 3}, "bob": "pw"}

    @authenticated
    def hats(handler: Any, parameters: Any) -> Any:
        return handler.session.get_account()["hats"]

    def change(handler: Any, parameters: Any) -> Any:
        handler.db_connection.change_password("ada", "pw", "new")
        handler.create_session("ada", "new")

    wrong = call_method(
        "toto.methods.account.login", {"user_id": "bob", "password": "no"}, accounts=accounts
    )

    assert call_method(hats, session={"user_id": "ada"}, accounts=accounts).result == 3
    assert wrong.error is not None
    assert wrong.error.code == 1005
    changed = call_method(change, accounts=accounts)
    assert changed.error is None
    assert changed.session is not None
    assert changed.session.user_id == "ada"


def test_the_user_of_the_session_has_no_password() -> None:
    """Nobody logs in as a user that only the session names."""
    answer = call_method(
        "toto.methods.account.login",
        {"user_id": "ada", "password": "-"},
        session={"user_id": "ada"},
    )

    assert answer.error is not None
    assert answer.error.code == 1005


def test_settings_of_accounts() -> None:
    """Options about accounts apply."""
    answer = call_method(
        "toto.methods.account.create",
        {"user_id": "ada", "password": "pw", "hats": 3},
        settings={"account_fields": ["hats"]},
    )

    assert answer.session is not None
    account = answer.session.get_account()
    assert account is not None
    assert account["hats"] == 3


def test_the_gateway_refuses_first() -> None:
    """Who needs a session is told so, whatever else the call lacks."""
    lacking = call_method(requires("hat")(count), {})
    lacking_hat = call_method(requires("hat")(count), {}, session=ADA)

    assert lacking.error is not None
    assert lacking.error.code == ERROR_NOT_AUTHORIZED
    assert lacking_hat.error is not None
    assert lacking_hat.error.code == ERROR_MISSING_PARAMS


def test_a_session_id_in_the_parameters() -> None:
    """It is looked up where the sessions of the call are."""

    @authenticated_with_parameter
    def invoke(handler: Any, parameters: Any) -> Any:
        return handler.session.user_id

    first = call_method(whose, session=ADA).session
    assert first is not None
    given = {"session_id": first.session_id}

    assert call_method(invoke, given, session=first).result == "ada"
    assert call_method(invoke, given).error is not None
