"""Slows down guessing of passwords: so many attempts in a while, counted before any hashing."""

import hashlib
import ipaddress
from collections.abc import Callable
from typing import Any

from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import CounterStore
from toto.exceptions import ERROR_OVERLOADED, TotoException

__all__ = ["LoginThrottle", "TooManyAttempts", "address_prefix"]

_DIGEST_CHARACTERS = 32
_ADDRESSES_WORTH = 10
# So many addresses may use up their attempts on one account: few have more, a home has one.
_KNOWN_SECONDS = 30 * 24 * 3600.0


class TooManyAttempts(TotoException):
    """The caller has guessed too often.

    Args:
        retry_after_seconds: when the first attempts are forgotten, at the latest.
    """

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(ERROR_OVERLOADED, "Too many attempts; try again later.")
        self.retry_after_seconds = retry_after_seconds


def address_prefix(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 network of an IPv6 one.

    A home gets a /64 or more of IPv6, and can use another address of it for every attempt.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


class LoginThrottle:
    """Counts attempts by account and address together, by address alone, and by account alone.

    From all addresses together an account may be tried ten times as often as from one. Whoever
    has logged in to it from an address within 30 days is not held up by what comes from others, so
    that nobody can lock the owner out from elsewhere.

    The times begin with the first attempt, and attempts that are refused do not prolong them.

    Args:
        counters: where to count, for all processes.
        settings: ``login_attempts``, ``login_attempts_per_address`` and ``login_window``.
        call: runs a store operation.
    """

    def __init__(
        self, counters: CounterStore, settings: StoreSettings, call: Callable[..., Any]
    ) -> None:
        self._counters = counters
        self._pair_max = settings.login_attempts
        self._address_max = settings.login_attempts_per_address
        self._window_seconds = settings.login_window
        self._call = call

    def attempt(self, user_id: str, address: str) -> None:
        """Count an attempt, before the password is looked at.

        Args:
            user_id: normalised; any text for what is no user id.
            address: the client's; empty if it is not known, then only the account counts.

        Raises:
            TooManyAttempts: there were too many.
        """
        if self._address_max and address:
            # Only failures count, so parallel attempts may pass by the number of threads.
            (failures,) = self._call(self._counters.counts, [_address_key(address)])
            if failures >= self._address_max:
                raise TooManyAttempts(self._window_seconds)
        if self._pair_max:
            if self._hit(_pair_key(user_id, address)) > self._pair_max:
                raise TooManyAttempts(self._window_seconds)
            keys = [_account_key(user_id), _known_key(user_id, address)]
            failures, known = self._call(self._counters.counts, keys)
            if failures >= _ADDRESSES_WORTH * self._pair_max and not known:
                raise TooManyAttempts(self._window_seconds)

    def failed(self, user_id: str, address: str) -> None:
        """Report that the password was wrong."""
        if self._address_max and address:
            self._hit(_address_key(address))
        if self._pair_max:
            self._hit(_account_key(user_id))

    def succeeded(self, user_id: str, address: str) -> None:
        """Report that the password was right: the address's attempts on the account are forgotten,
        and the address is known as one of the user's."""
        if self._pair_max:
            self._call(self._counters.clear, _pair_key(user_id, address))
            known = _known_key(user_id, address)
            self._call(self._counters.clear, known)  # a further hit would not prolong it
            self._call(self._counters.hit, known, _KNOWN_SECONDS)

    def creation(self, address: str) -> None:
        """Count a try to create an account, as many of which are allowed as wrong passwords.

        Args:
            address: the client's; empty if it is not known, then nothing counts.

        Raises:
            TooManyAttempts: there were too many from this address.
        """
        if self._address_max and address and self._hit(_creation_key(address)) > self._address_max:
            raise TooManyAttempts(self._window_seconds)

    def _hit(self, key: str) -> int:
        count: int = self._call(self._counters.hit, key, self._window_seconds)
        return count


def _pair_key(user_id: str, address: str) -> str:
    return f"login:{_digest(user_id)}:{_digest(address_prefix(address))}"


def _known_key(user_id: str, address: str) -> str:
    return f"login-known:{_digest(user_id)}:{_digest(address_prefix(address))}"


def _account_key(user_id: str) -> str:
    return f"login-account:{_digest(user_id)}"


def _address_key(address: str) -> str:
    return f"login-address:{_digest(address_prefix(address))}"


def _creation_key(address: str) -> str:
    return f"create-address:{_digest(address_prefix(address))}"


def _digest(text: str) -> str:
    # Keys of one length, with characters that every store takes.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
