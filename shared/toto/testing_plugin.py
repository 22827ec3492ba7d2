"""The pytest plugin: fixtures that start ``toto-gateway``. It costs nothing until one is used.

    def test_an_order_is_placed(toto_gateway):
        gateway = toto_gateway("shop.methods", app_dir="src", workers=2)

        assert gateway.call("orders.place", {"article": "hat"}) == {"article": "hat"}

pytest finds it by itself once toto-gateway is installed. A test that fails shows what its gateways
and their workers have written.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from toto.testing import RunningGateway

__all__ = ["GatewayFactory", "toto_gateway", "toto_module_gateway"]

FIXTURES = ("toto_gateway", "toto_module_gateway")
SHOWN_CHARACTERS = 8000
"""Of each gateway's output, at its end."""


class GatewayFactory:
    """What the fixtures are: called, it starts a gateway."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.started: list[RunningGateway] = []
        """The gateways that run."""

    def __call__(self, methods: str, **options: Any) -> "RunningGateway":
        """Start a gateway, and return it once it serves.

        Args:
            methods: the package of the methods.
            options: as of ``toto.testing.running_gateway``, such as ``app_dir`` and ``workers``.

        Raises:
            RuntimeError: it does not start; the message has its output.
        """
        from toto.testing import running_gateway

        gateway = self._stack.enter_context(running_gateway(methods, **options))
        self.started.append(gateway)
        return gateway


@pytest.fixture
def toto_gateway() -> Iterator[GatewayFactory]:
    """Start gateways that are stopped after the test: ``toto_gateway("app.methods", workers=1)``.

    What it returns has ``url``, ``port``, ``call``, ``batch``, ``request`` and ``output``.
    """
    with ExitStack() as stack:
        yield GatewayFactory(stack)


@pytest.fixture(scope="module")
def toto_module_gateway() -> Iterator[GatewayFactory]:
    """Start gateways as ``toto_gateway`` does; they are stopped after the module's last test.

    For a fixture of your own with ``scope="module"``, so that many tests share one start.
    """
    with ExitStack() as stack:
        yield GatewayFactory(stack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the gateways of a failed test have written to its report."""
    report = yield
    arguments = getattr(item, "funcargs", {}) if report.failed else {}
    for factory in (arguments[name] for name in FIXTURES if name in arguments):
        for gateway in factory.started:
            shown = gateway.output()[-SHOWN_CHARACTERS:]
            report.sections.append((f"output of toto-gateway at {gateway.url}", shown))
    return report
