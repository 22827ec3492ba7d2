"""What a method sees of its own request, beside what the one it calls sees."""

from typing import Any

from toto_test_app.methods.calls import facts


def invoke(handler: Any, parameters: Any) -> Any:
    theirs = handler.call_sync("calls.facts", parameters)
    return {"own": facts.invoke(handler, parameters), "theirs": theirs}
