"""Checks passwords of users against the store: throttled, and alike for users who do not exist."""

import logging
from collections.abc import Callable
from typing import Any

from toto import secret
from toto._core.stores.login_throttle import LoginThrottle
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import AccountStore, CounterStore, Credentials
from toto.exceptions import (
    ERROR_MISSING_PARAMS,
    ERROR_SERVER,
    ERROR_USER_ID_EXISTS,
    ERROR_USER_NOT_FOUND,
    TotoException,
)

__all__ = ["Passwords", "hash_new", "id_taken", "require_text", "wrong_login"]

_log = logging.getLogger("toto.session")


class Passwords:
    """The checks of a login and of a new account.

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
        credentials = self.credentials(accounts, name)
        if credentials is None:
            secret.verify_dummy(password)
        elif secret.verify_password(password, credentials.password_hash):
            self._throttle.succeeded(name or "", address)
            return credentials
        self._throttle.failed(name or "", address)
        raise wrong_login()

    def credentials(self, accounts: AccountStore, name: str | None) -> Credentials | None:
        """Return the credentials of a normalised user id; None for an unknown user."""
        found: Credentials | None = None
        if name is not None:
            found = self._call(accounts.credentials, name)
        return found

    def login(
        self,
        accounts: AccountStore,
        name: str | None,
        password: Any,
        address: str,
        *,
        verify: bool,
    ) -> Credentials:
        """Return the credentials of a user who may have a session.

        Args:
            accounts: where the user may be found.
            name: the normalised user id; None for what cannot be one.
            password: as the client sent it.
            address: the client's; empty if it is not known.
            verify: False asks for no more than an account.

        Raises:
            TotoException: as ``verified`` does.
        """
        if not verify:
            found = self.credentials(accounts, name)
            if found is None:
                raise wrong_login()
            return found
        credentials = self.verified(accounts, name, password, address)
        if name is not None:
            self._rehash(accounts, name, password, credentials.password_hash)
        return credentials

    def _rehash(self, accounts: AccountStore, name: str, password: str, present_hash: str) -> None:
        """Replace a hash of an old kind, now that the password is known; never fails."""
        if not secret.needs_rehash(present_hash):
            return
        try:
            new_hash = secret.password_hash(password)
            self._call(accounts.set_password, name, new_hash, replaces=present_hash)
        except Exception as error:  # noqa: BLE001  # any account store may be in use
            # The user is in; the next login tries again. A driver's text may quote the hash.
            _log.warning("an old password hash could not be replaced: %s", type(error).__name__)

    def hash_for_account(
        self, accounts: AccountStore, name: str, password: Any, address: str
    ) -> str:
        """Return the hash for a new account, after what costs less has been checked.

        Args:
            accounts: where the account is to be.
            name: the normalised user id.
            password: as the client sent it.
            address: the client's; empty if it is not known.

        Raises:
            TotoException: the user id is taken (1006), the password cannot be one (1003, 1000), or
                the address has created too many accounts (1103).
        """
        require_text(password, "password")
        self._throttle.creation(address)
        if self.credentials(accounts, name) is not None:
            raise id_taken()
        return hash_new(password, "password")

    def created(self, name: str, address: str) -> None:
        """Take note of who created an account: it is as good as a login."""
        if address:
            self._throttle.succeeded(name, address)


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


def id_taken() -> TotoException:
    """Return the error of a user id that has an account already."""
    return TotoException(ERROR_USER_ID_EXISTS, "User ID already in use.")


def wrong_login() -> TotoException:
    """Return the error that tells nothing of whether the user exists."""
    return TotoException(ERROR_USER_NOT_FOUND, "Invalid user ID or password")
