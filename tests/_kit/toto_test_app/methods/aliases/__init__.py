"""Names given here: two modules are methods under them, nothing else is."""

import json as json  # a module without invoke
from pathlib import Path
from typing import Any

import toto_test_app.library.greet as greet
import toto_test_app.methods.echo as twin

__all__ = ["Path", "function", "greet", "json", "runner", "twin"]


class Runner:
    """Has an invoke of its own, as objects of many libraries do; it is no module."""

    def invoke(self, handler: Any, parameters: Any) -> Any:
        return "this must not be callable"


def function(handler: Any, parameters: Any) -> Any:
    return "this must not be callable"


runner = Runner()
