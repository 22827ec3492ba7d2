"""The further keywords of ``toto.testing.call_method``."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast

__all__ = ["CallOptions", "completed"]


class CallOptions(TypedDict, total=False):
    """How a test's call is made; each key may be left out."""

    verb: Literal["POST", "GET", "HEAD"]
    """POST unless told; for the others the parameters make the query."""
    uri: str
    """Path and query; the path is made of the method's name unless it is given."""
    headers: Mapping[str, str]
    """Of the request. ``content-type`` follows from ``body_format`` unless it is among them."""
    body_format: Literal["json", "msgpack", "bson", "form"]
    """How the parameters are sent; the answer has the same format, or JSON after a form."""
    body: bytes
    """The request's whole body, in the place of the parameters: for uploads, and for bad bodies."""
    remote_ip: str
    """The client's address, 127.0.0.1 unless told."""
    batch_key: str
    """Call the method as the member of a batch that has this key."""
    timeout_seconds: float
    """The call's time limit; the decorator ``timeout`` gives another default than 30."""
    raises: bool
    """False answers an exception that is no ``TotoException`` with error 1000, as a gateway does;
    otherwise the test gets the exception itself."""
    debug: bool
    """True puts the text of such an exception into the error, as the option ``debug`` does."""
    error_status: Literal["toto", "http"]
    """As the gateway's option: ``http`` gives errors of methods a status of their own."""
    settings: Mapping[str, Any]
    """Options about accounts and sessions, such as ``account_fields``."""


_DEFAULTS: CallOptions = {
    "verb": "POST",
    "uri": "",
    "headers": {},
    "body_format": "json",
    "remote_ip": "127.0.0.1",
    "raises": True,
    "debug": False,
    "error_status": "toto",
    "settings": {},
}


def completed(options: CallOptions) -> CallOptions:
    """Return the options with the defaults of those that were left out.

    Raises:
        TypeError: there is no such option.
    """
    unknown = sorted(options.keys() - CallOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"call_method has no option {', '.join(unknown)}")
    return cast(CallOptions, {**_DEFAULTS, **options})
