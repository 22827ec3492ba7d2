"""Tell what a member of a batch sees of its proxy."""

from typing import Any

from toto.handler import BatchHandlerProxy, TotoHandler


def invoke(handler: Any, parameters: Any) -> Any:
    handler.mark = parameters["mark"]
    inner = handler.handler
    return {
        "is_proxy": isinstance(handler, BatchHandlerProxy),
        "is_handler": isinstance(inner, TotoHandler),
        "request_key": handler.request_key,
        "mark": handler.mark,
        "same_request": handler.request is inner.request,
        "same_id": handler.request_id == inner.request_id,
        "transaction_id": str(handler.transaction_id),
    }
