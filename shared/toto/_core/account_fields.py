"""Which parameters of the account methods are properties, and whether clients may set them."""

from collections.abc import Mapping
from typing import Any

from toto._core.stores.store import RESERVED_PROPERTIES
from toto.exceptions import ERROR_NOT_AUTHORIZED, TotoException

__all__ = ["properties_to_set"]

# A call without an envelope has the name of its method among its parameters.
_NOT_PROPERTIES = frozenset({"user_id", "password", "new_password", "method"})
_NAMES_SHOWN = 10
_NAME_LENGTH_SHOWN = 64


def properties_to_set(
    parameters: Mapping[str, Any], account_fields: tuple[str, ...]
) -> dict[str, Any]:
    """Return the properties among the parameters of account.create or account.update.

    Args:
        parameters: the method's.
        account_fields: the option: the properties that clients may set.

    Raises:
        TotoException: the client may not set one of them (1004); to leave it out would lose it.
    """
    allowed = set(account_fields) - RESERVED_PROPERTIES
    properties = {name: parameters[name] for name in parameters if name not in _NOT_PROPERTIES}
    refused = sorted(str(name)[:_NAME_LENGTH_SHOWN] for name in properties if name not in allowed)
    if refused:
        names = ", ".join(refused[:_NAMES_SHOWN])
        raise TotoException(ERROR_NOT_AUTHORIZED, f"Not authorized to set: {names}")
    return properties
