"""Create an account and log in: parameters ``user_id`` and ``password``.

The other parameters become properties of the account; they must be named by the option
``account_fields``. The result is that of ``account.login``.
"""

from typing import Any

from toto._core.account_fields import properties_to_set
from toto.invocation import requires
from toto.methods.account.login import login_fields, one_value


@requires("user_id", "password")
def invoke(handler: Any, parameters: Any) -> dict[str, Any]:
    """Create an account and a session for it."""
    user_id = one_value(parameters, "user_id")
    password = one_value(parameters, "password")
    properties = properties_to_set(parameters, handler.db_connection.account_fields)
    handler.db_connection.create_account(
        user_id, password, properties, client_address=handler.request.remote_ip
    )
    # The password was set a moment ago; to verify it would only take time.
    return login_fields(handler.create_session(user_id, password, verify_password=False))
