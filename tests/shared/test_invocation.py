"""The decorators of methods: what they do, in any order, and what they tell the gateway."""

import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from toto._wire.constants import Policy
from toto.exceptions import ERROR_MISSING_PARAMS, ERROR_NOT_AUTHORIZED, TotoException
from toto.invocation import (
    anonymous_session,
    asynchronous,
    authenticated,
    authenticated_with_parameter,
    default_parameters,
    optionally_authenticated,
    requires,
)
from toto_worker.methods import MethodKind, kind_of, traits_of

ANN = SimpleNamespace(session_id="s-ann", user_id="ann")
GUEST = SimpleNamespace(session_id="s-guest", user_id=None)


@dataclass
class Handler:
    """Has the sessions it is given by id; the caller's is under None."""

    sessions: dict[str | None, Any] = field(default_factory=dict)
    session: Any = None
    created: int = 0

    def retrieve_session(self, session_id: str | None = None) -> Any:
        self.session = self.sessions.get(session_id)
        return self.session

    def create_session(self) -> Any:
        self.created += 1
        self.session = GUEST
        return GUEST


def whose(handler: Handler, parameters: Any) -> Any:
    """Tell whose session it is."""
    return handler.session and handler.session.user_id, parameters


def refusal(invoke: Any, handler: Handler, parameters: Any = None) -> int:
    with pytest.raises(TotoException) as caught:
        invoke(handler, {} if parameters is None else parameters)
    code: int = caught.value.code
    return code


def test_authenticated_lets_users_in_and_nobody_else() -> None:
    """No session and an anonymous one are the same refusal."""
    invoke = authenticated(whose)

    assert invoke(Handler({None: ANN}), {}) == ("ann", {})
    assert refusal(invoke, Handler()) == ERROR_NOT_AUTHORIZED
    assert refusal(invoke, Handler({None: GUEST})) == ERROR_NOT_AUTHORIZED


def test_optionally_authenticated_takes_what_there_is() -> None:
    """Without a session the method runs all the same."""
    invoke = optionally_authenticated(whose)

    assert invoke(Handler({None: ANN}), {}) == ("ann", {})
    assert invoke(Handler(), {}) == (None, {})


def test_anonymous_session_makes_one_only_when_there_is_none() -> None:
    """A user keeps the session that came with the call."""
    invoke = anonymous_session(whose)
    guest, ann = Handler(), Handler({None: ANN})

    invoke(guest, {})
    invoke(ann, {})

    assert (guest.session, guest.created) == (GUEST, 1)
    assert (ann.session, ann.created) == (ANN, 0)


@pytest.mark.parametrize("given", ["s-ann", ["s-ann"]])
def test_a_session_id_in_the_parameters_counts_and_is_taken_out(given: Any) -> None:
    """A form gives it as a list of one."""
    invoke = authenticated_with_parameter(whose)

    assert invoke(Handler({"s-ann": ANN}), {"session_id": given, "n": 1}) == ("ann", {"n": 1})


def test_without_the_parameter_the_header_counts() -> None:
    """The decorator asks for the caller's session then."""
    assert authenticated_with_parameter(whose)(Handler({None: ANN}), {"n": 1}) == ("ann", {"n": 1})


@pytest.mark.parametrize("parameters", [{}, [], "text", None, {"session_id": 7}])
def test_row_25_a_parameter_must_name_the_session_of_a_user(parameters: Any) -> None:
    """Toto let anonymous sessions pass."""
    invoke = authenticated_with_parameter(whose)

    assert refusal(invoke, Handler(), parameters) == ERROR_NOT_AUTHORIZED
    assert refusal(invoke, Handler({"g": GUEST}), {"session_id": "g"}) == ERROR_NOT_AUTHORIZED


@pytest.mark.parametrize("parameters", [{"b": 1}, {"b": 1, "x": 2}])
def test_missing_parameters_are_listed_in_order(parameters: Any) -> None:
    """All of them, sorted by name."""
    with pytest.raises(TotoException) as caught:
        requires("c", "b", "a")(whose)(Handler(), parameters)

    assert caught.value.code == ERROR_MISSING_PARAMS
    assert caught.value.value == "Missing parameters: a, c"


@pytest.mark.parametrize("parameters", [[], ["a"], "a", None])
def test_parameters_that_are_no_object_miss_everything(parameters: Any) -> None:
    """A list that holds the name does not hold the parameter."""
    assert refusal(requires("a")(whose), Handler(), parameters or []) == ERROR_MISSING_PARAMS


def test_defaults_are_copied_for_each_call() -> None:
    """What one call appends, the next does not see."""

    @default_parameters({"items": [], "n": 1})
    def invoke(handler: Any, parameters: Any) -> Any:
        parameters["items"].append(parameters["n"])
        return parameters

    assert invoke(None, {}) == {"items": [1], "n": 1}
    assert invoke(None, {"n": 2}) == {"items": [2], "n": 2}


THREE: dict[str, Any] = {
    "authenticated": authenticated,
    "requires": requires("a"),
    "default_parameters": default_parameters({"b": 2}),
    "asynchronous": asynchronous,
}


@pytest.mark.parametrize("order", list(itertools.permutations(THREE, 3)), ids="-".join)
def test_decorators_work_in_any_order(order: tuple[str, ...]) -> None:
    """Docstring, kind and policy get through all of them, and each does its work."""

    def invoke(handler: Any, parameters: Any) -> Any:
        """Say something."""
        return whose(handler, parameters)

    decorated: Any = invoke
    for name in reversed(order):
        decorated = THREE[name](decorated)

    needs_user = "authenticated" in order
    expected = {"a": 1, "b": 2} if "default_parameters" in order else {"a": 1}
    assert decorated.__doc__ == "Say something."
    assert kind_of(decorated) is (
        MethodKind.ASYNCHRONOUS if "asynchronous" in order else MethodKind.FUNCTION
    )
    assert traits_of(decorated).policy == (
        Policy.SESSION | Policy.USER if needs_user else Policy.NONE
    )
    assert decorated(Handler({None: ANN}), {"a": 1})[1] == expected
    if "requires" in order:
        assert refusal(decorated, Handler({None: ANN}), {}) == ERROR_MISSING_PARAMS
    if needs_user:
        assert refusal(decorated, Handler(), {"a": 1}) == ERROR_NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("decorator", "policy"),
    [
        (anonymous_session, Policy.SESSION | Policy.CREATES),
        (optionally_authenticated, Policy.SESSION),
        (authenticated, Policy.SESSION | Policy.USER),
        (authenticated_with_parameter, Policy.SESSION | Policy.USER | Policy.PARAMETER),
        (requires("a"), Policy.NONE),
    ],
)
def test_the_policy_tells_what_the_decorator_does(decorator: Any, policy: Policy) -> None:
    """Workers announce it, and gateways refuse by it."""

    async def invoke(handler: Any, parameters: Any) -> None: ...

    assert traits_of(decorator(invoke)).policy == policy
    assert kind_of(decorator(invoke)) is MethodKind.COROUTINE
