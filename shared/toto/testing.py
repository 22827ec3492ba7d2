"""For tests of applications: call a method without a server, or start the real one.

    import shop.orders.place
    from toto.testing import call_method, running_gateway

    def test_an_order_is_placed():
        answer = call_method(shop.orders.place, {"article": "hat"}, session={"user_id": "ada"})

        assert answer.result == {"article": "hat", "by": "ada"}

    def test_an_order_over_http():
        with running_gateway("shop") as gateway:
            assert gateway.call("orders.count") == 0

``call_method`` runs everything that a worker runs, in this process and in milliseconds.
``running_gateway`` starts the command ``toto-gateway`` with its workers; with pytest the fixture
``toto_gateway`` does so, and stops it after the test.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Unpack

from toto._core.testing.answer import Answer, SentEvent
from toto._core.testing.call_options import CallOptions, completed
from toto._core.testing.running_gateway import GatewayResponse, RunningGateway, running_gateway

if TYPE_CHECKING:
    from toto.session import TotoSession

__all__ = [
    "Answer",
    "CallOptions",
    "GatewayResponse",
    "RunningGateway",
    "SentEvent",
    "call_method",
    "running_gateway",
]


def call_method(
    method: ModuleType | Callable[..., Any] | str,
    parameters: Any = None,
    *,
    session: "Mapping[str, Any] | TotoSession | None" = None,
    accounts: Mapping[str, str | Mapping[str, Any]] | None = None,
    methods: str | Mapping[str, ModuleType | Callable[..., Any] | str] | None = None,
    **options: Unpack[CallOptions],
) -> Answer:
    """Call a method in this process, as if a client had called it through a gateway.

    The request is encoded and decoded, decorators and hooks run, plain functions run in a thread
    and coroutines on an event loop of their own (so a test may have one itself), and the answer is
    encoded. Accounts and sessions are real, in a database in memory. Signatures and cookies are
    the gateway's work: nothing of them happens here. Events stay in this process.

        login = call_method("toto.methods.account.login", {"user_id": "ada", "password": "pw"},
                            accounts={"ada": "pw"})
        assert login.session.user_id == "ada"

    Args:
        method: a module with ``invoke``, an ``invoke`` function, or a module's dotted name.
        parameters: what the client sends.
        session: of whoever calls. A dictionary of its variables, whose ``user_id`` logs that user
            in; without one the session is anonymous. Or the session of an earlier answer, and then
            the accounts and sessions of that call are there again. None calls without a session.
        accounts: the users there are: their passwords by user id, or dictionaries of properties
            with ``password`` among them. The user of ``session`` is there without being named.
        methods: what the method may call: a package of methods, or methods by name. Otherwise
            names are looked up in the packages that the method's module is in.
        options: see ``CallOptions``.

    Raises:
        Exception: whatever the method raises that is no ``TotoException``, unless ``raises=False``.
        TypeError: ``method`` is none, or an option is unknown.
        TimeoutError: the method blocks the event loop for longer than its time limit.
    """
    from toto_worker.testing.local_calls import call_locally  # the facade's one way down

    chosen = completed(options)
    return call_locally(method, parameters, session, accounts or {}, methods, chosen)
