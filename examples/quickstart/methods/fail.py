"""Fail: with the caller's own code and value, or with an error nobody expected."""

from methods._parameters import fields, number
from toto.exceptions import TotoException


def invoke(handler, parameters):
    if "code" in fields(parameters):
        code = number(parameters, "code", low=1, high=999_999)
        raise TotoException(code, fields(parameters).get("value", "failed as asked"))
    raise ValueError("the client never sees this text, only the worker's log does")
