"""Change the account of the session's user.

Parameters are the properties to set, of those named by the option ``account_fields``. With
``new_password``, and the present one as ``password``, the password is changed: all of the user's
sessions end and a new one is made, whose fields are in the result as in that of ``account.login``.
``user_id`` may be given, but only as the session's own user.
"""

from collections.abc import Mapping
from typing import Any

from toto._core.account_fields import properties_to_set
from toto._core.stores.passwords import wrong_login
from toto._core.stores.user_ids import normalise_user_id
from toto.exceptions import (
    ERROR_MISSING_PARAMS,
    ERROR_NOT_AUTHORIZED,
    TotoException,
)
from toto.invocation import authenticated
from toto.methods.account.login import login_fields, one_value


@authenticated
def invoke(handler: Any, parameters: Any) -> dict[str, Any]:
    """Change the account, all that is asked for or nothing."""
    user_id = handler.session.user_id
    if not isinstance(parameters, Mapping):
        parameters = {}
    if "user_id" in parameters and normalise_user_id(one_value(parameters, "user_id")) != user_id:
        raise TotoException(ERROR_NOT_AUTHORIZED, "Not authorized")
    properties = properties_to_set(parameters, handler.db_connection.account_fields)
    if "new_password" not in parameters:
        if properties and not handler.db_connection.update_properties(user_id, properties):
            raise wrong_login()
        return {"updated_fields": sorted(properties)}
    if "password" not in parameters:
        raise TotoException(ERROR_MISSING_PARAMS, "Missing parameters: password")
    handler.db_connection.change_password(
        user_id,
        one_value(parameters, "password"),
        one_value(parameters, "new_password"),
        address=handler.request.remote_ip,
        properties=properties,
    )
    session = handler.create_session(user_id, verify_password=False)
    return {"updated_fields": sorted([*properties, "password"]), **login_fields(session)}
