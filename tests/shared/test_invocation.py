"""The decorators of methods: what they do, in any order, and what they tell the gateway."""

import functools
import itertools
import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest

from toto._core.typed_parameters import typed
from toto._wire.constants import Policy
from toto.exceptions import ERROR_MISSING_PARAMS, ERROR_NOT_AUTHORIZED, TotoException
from toto.invocation import (
    anonymous_session,
    asynchronous,
    authenticated,
    authenticated_with_parameter,
    default_parameters,
    error_redirect,
    idempotent,
    internal,
    jsonp,
    optionally_authenticated,
    raw_response,
    requires,
    timeout,
)
from toto_worker.methods import MethodKind, doc_of, kind_of, traits_of

ANN = SimpleNamespace(session_id="s-ann", user_id="ann")
GUEST = SimpleNamespace(session_id="s-guest", user_id=None)


@dataclass
class Handler:
    """Has the sessions it is given by id; the caller's is under None."""

    sessions: dict[str | None, Any] = field(default_factory=dict)
    session: Any = None
    created: int = 0

    def retrieve_session(self, session_id: str | None = None) -> Any:
        if self.session and session_id in (None, self.session.session_id):
            return self.session
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


SESSION = Policy.SESSION
USER = Policy.SESSION | Policy.USER
REDIRECTS = error_redirect({404: "/lost"}, "/oops")
DECORATORS: dict[str, Any] = {
    "anonymous_session": anonymous_session,
    "asynchronous": asynchronous,
    "authenticated": authenticated,
    "authenticated_with_parameter": authenticated_with_parameter,
    "default_parameters": default_parameters({"b": 2}),
    "error_redirect": REDIRECTS,
    "idempotent": idempotent,
    "internal": internal,
    "jsonp": jsonp("callback"),
    "optionally_authenticated": optionally_authenticated,
    "raw_response": raw_response,
    "requires": requires("a"),
    "timeout": timeout(7),
}
POLICIES = {
    "anonymous_session": SESSION | Policy.CREATES,
    "authenticated": USER,
    "authenticated_with_parameter": USER | Policy.PARAMETER,
    "idempotent": Policy.IDEMPOTENT,
    "internal": Policy.INTERNAL,
    "optionally_authenticated": SESSION,
}
SENTENCES = {
    "anonymous_session": "Uses an anonymous session unless the caller has one.",
    "authenticated": "Requires authentication.",
    "authenticated_with_parameter": (
        "Requires authentication, by the parameter ``session_id`` or as ever."
    ),
    "default_parameters": "Default parameters: ``b``: 2.",
    "jsonp": "Supports JSONP with the callback parameter ``callback``.",
    "requires": "Required parameters: ``a``.",
}
THREES = list(itertools.combinations(DECORATORS, 3))


@dataclass
class Sum:
    """What a typed method wants."""

    a: int
    b: int = 0


def plain(handler: Any, parameters: Any) -> Any:
    """Say something.

    And more.
    """
    return whose(handler, parameters)


def with_type(handler: Any, parameters: Sum) -> Any:
    """Say something.

    And more.
    """
    return whose(handler, asdict(parameters))


async def awaited(handler: Any, parameters: Any) -> Any:
    """Say something.

    And more.
    """
    return whose(handler, parameters)


def in_all_orders(names: tuple[str, ...], fn: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every order of the decorators, and what they make of a fresh copy of the function."""
    for order in itertools.permutations(names):
        invoke: Any = FunctionType(fn.__code__, fn.__globals__)
        functools.update_wrapper(invoke, fn)
        del invoke.__wrapped__
        yield order, functools.reduce(lambda made, name: DECORATORS[name](made), order, invoke)


@pytest.mark.parametrize("names", THREES, ids="-".join)
def test_any_three_decorators_keep_what_is_known_of_a_method(names: tuple[str, ...]) -> None:
    """Docstring, kind and all traits get through, in every order."""
    kinds = {
        plain: MethodKind.FUNCTION,
        with_type: MethodKind.FUNCTION,
        awaited: MethodKind.COROUTINE,
    }
    if "asynchronous" in names:
        kinds |= {plain: MethodKind.ASYNCHRONOUS, with_type: MethodKind.ASYNCHRONOUS}
    policy = functools.reduce(operator.or_, (POLICIES.get(n, Policy.NONE) for n in names))

    for fn, kind in kinds.items():
        for order, invoke in in_all_orders(names, fn):
            sentences = [SENTENCES[name] for name in order if name in SENTENCES]
            assert doc_of(invoke).split("\n\n") == ["Say something.", "And more.", *sentences]
            assert kind_of(invoke) is kind, order
            traits = traits_of(invoke)
            assert traits.policy == policy, order
            assert traits.is_asynchronous is ("asynchronous" in names), order
            assert traits.is_raw is ("raw_response" in names), order
            assert traits.jsonp_parameter == ("callback" if "jsonp" in names else ""), order
            assert traits.timeout_seconds == (7 if "timeout" in names else 0), order
            url = traits.redirects.url_of(ValueError()) if traits.redirects else ""
            assert url == ("/oops" if "error_redirect" in names else ""), order


@pytest.mark.parametrize("names", THREES, ids="-".join)
def test_any_three_decorators_do_their_work(names: tuple[str, ...]) -> None:
    """Each as it does alone, in every order, and whether parameters have a type or not."""
    by_parameter = "authenticated_with_parameter" in names
    needs_user = by_parameter or "authenticated" in names
    has_session = needs_user or bool({"anonymous_session", "optionally_authenticated"} & {*names})
    user = "ann" if has_session else None
    expected = {"a": 1, "b": 2} if "default_parameters" in names else {"a": 1}
    given = {"a": 1, "session_id": "s-ann"} if by_parameter else {"a": 1}

    for order, invoke in in_all_orders(names, plain):
        caller, stranger = Handler({None: ANN}), Handler({"s-ann": ANN})
        assert invoke(caller, {"a": 1}) == (user, expected), order
        if by_parameter:
            assert invoke(stranger, dict(given)) == ("ann", expected), order
            assert stranger.created == 0, order
        if needs_user:
            guest = Handler()
            assert refusal(invoke, guest, {"a": 1}) == ERROR_NOT_AUTHORIZED, order
            assert guest.created == 0, order
        elif "anonymous_session" in names:
            invoke(stranger, {"a": 1})
            assert (stranger.session, stranger.created) == (GUEST, 1), order
        if "requires" in names:
            assert refusal(invoke, Handler({None: ANN}), {}) == ERROR_MISSING_PARAMS, order
    for order, invoke in in_all_orders(names, with_type):
        invoke = typed(invoke)  # as the loader does
        assert invoke(Handler({None: ANN, "s-ann": ANN}), dict(given)) == (
            user,
            {"b": 0} | expected,
        ), order
        assert refusal(invoke, Handler({None: ANN}), {}) == ERROR_MISSING_PARAMS, order


@pytest.mark.parametrize(
    ("error", "url"),
    [
        (TotoException(404, "x"), "/lost"),
        (TotoException(1004, "x"), "/login"),
        (SimpleNamespace(code="lost", status_code=404), "/lost"),
        (SimpleNamespace(code="named"), "/named"),
        (SimpleNamespace(status_code=404), "/lost"),
        (TotoException(7, "x"), ""),
        (ValueError("404"), ""),
    ],
)
def test_errors_redirect_by_their_code(error: Any, url: str) -> None:
    """A key is a number or its text; ``status_code`` counts after ``code``."""
    redirects = traits_of(
        error_redirect({404: "/lost", "1004": "/login", "named": "/named"})(plain)
    ).redirects

    assert redirects is not None
    assert redirects.url_of(error) == url


@pytest.mark.parametrize("url", ["/a\r\nSet-Cookie: x=1", "/a\nb", "/\u2028"])
def test_an_address_that_no_header_can_carry_is_refused(url: str) -> None:
    """When the module is imported, and not at the first error."""
    with pytest.raises(ValueError):
        error_redirect({1: url})
    with pytest.raises(ValueError):
        error_redirect({}, url)


@pytest.mark.parametrize("seconds", [0, -1, 7 * 86_400 + 1, float("nan"), float("inf")])
def test_a_timeout_has_bounds(seconds: float) -> None:
    """It is a time that a caller may wait."""
    with pytest.raises(ValueError, match="timeout takes more than 0 and up to 604800 seconds"):
        timeout(seconds)


def test_jsonp_needs_no_brackets() -> None:
    """The parameter is called ``jsonp`` then."""
    names = [traits_of(made(make())).jsonp_parameter for made in (jsonp, jsonp(), jsonp("call"))]

    assert names == ["jsonp", "jsonp", "call"]


def make() -> Any:
    return lambda handler, parameters: parameters


def test_the_outer_decorator_of_a_kind_counts() -> None:
    """Two that say different things."""
    invoke = timeout(3)(jsonp("outer")(timeout(5)(jsonp("inner")(make()))))

    assert traits_of(invoke).timeout_seconds == 3
    assert traits_of(invoke).jsonp_parameter == "outer"


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
