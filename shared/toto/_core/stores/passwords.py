"""Checks passwords of users against the store: throttled, and alike for users who do not exist."""

from collections.abc import Callable
from typing import Any

from toto import secret
from toto._core.stores.login_throttle import LoginThrottle
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import AccountStore, CounterStore, Credentials
from toto.exceptions import (
    ERROR_MISSING_PARAMS,
    ERROR_SERVER,
    ERROR_USER_NOT_FOUND,
    TotoException,
)

__all__ = ["Passwords", "hash_new", "require_text", "wrong_login"]


class Passwords:
    """The check of a login.

    Args:
        counters: where attempts are counted.
        settings: the limits of attempts.
        call: runs a store operation.
    """

    def __init__(
        self, counters: CounterStore, settings: StoreSettings, call: Callable[..., Any]
    ) -> None:
        self._throttle = LoginThrottle(counters, settings, call)
        self._call = call

    def verified(
        self, accounts: AccountStore, name: str | None, password: Any, address: str
    ) -> Credentials:
        """Return a user's credentials if the password is right.

        Args:
            accounts: where the user may be found.
            name: the normalised user id; None for what cannot be one.
            password: as the client sent it.
            address: the client's; empty if it is not known.

        Raises:
            TotoException: unknown user or wrong password, at the same cost (1005); too many
                attempts (1103).
        """
        if not isinstance(password, str) or not password:
            raise wrong_login()
        self._throttle.attempt(name or "", address)
        credentials: Credentials | None = None
        if name is not None:
            credentials = self._call(accounts.credentials, name)
        if credentials is None:
            secret.verify_dummy(password)
        elif secret.verify_password(password, credentials.password_hash):
            self._throttle.succeeded(name or "", address)
            return credentials
        self._throttle.failed(address)
        raise wrong_login()

    def rehash(self, accounts: AccountStore, name: str, password: str, present_hash: str) -> None:
        """Replace a hash of an old kind, now that the password is known."""
        if secret.needs_rehash(present_hash):
            new_hash = secret.password_hash(password)
            self._call(accounts.set_password, name, new_hash, replaces=present_hash)


def hash_new(password: Any, parameter: str) -> str:
    """Return the hash of a password that is to be set.

    Args:
        password: as the client sent it.
        parameter: its name, for the error.

    Raises:
        TotoException: it is empty or no text (1003), or too long (1000).
    """
    require_text(password, parameter)
    try:
        return secret.password_hash(password)
    except ValueError as error:
        raise TotoException(
            ERROR_SERVER, f"A password may have {secret.PASSWORD_BYTES_MAX} bytes at most."
        ) from error


def require_text(password: Any, parameter: str) -> None:
    """Raise error 1003 for a password that is empty or no text."""
    if not isinstance(password, str) or not password:
        raise TotoException(ERROR_MISSING_PARAMS, f"Missing parameters: {parameter}")


def wrong_login() -> TotoException:
    """Return the error that tells nothing of whether the user exists."""
    return TotoException(ERROR_USER_NOT_FOUND, "Invalid user ID or password")
