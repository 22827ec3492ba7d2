"""What the decorators of a method say about it, carried on the function as one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from toto._wire.constants import Policy

__all__ = ["NO_TRAITS", "TRAITS_ATTRIBUTE", "ErrorRedirects", "Traits", "add_traits", "own_traits"]

TRAITS_ATTRIBUTE = "__toto_traits__"

_F = TypeVar("_F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class ErrorRedirects:
    """Where the errors of a method send the client, instead of an error document."""

    urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By error code, as text."""
    default: str = ""

    def url_of(self, error: BaseException) -> str:
        """Return the address for an error, or an empty string.

        The attribute ``code`` of the error counts, then ``status_code``, then the default.
        """
        for name in ("code", "status_code"):
            url = self.urls.get(str(getattr(error, name, None)))
            if url:
                return url
        return self.default


@dataclass(frozen=True, slots=True)
class Traits:
    """All that decorators can say."""

    policy: Policy = Policy.NONE
    is_asynchronous: bool = False
    """It may return before it has answered."""
    is_raw: bool = False
    """What it returns is the body itself."""
    jsonp_parameter: str = ""
    """The parameter with the name of a JavaScript function to call; empty = none."""
    redirects: ErrorRedirects | None = None
    timeout_seconds: float = 0.0
    """Replaces the gateway's ``request_timeout``; 0 = it does not."""

    def over(self, below: "Traits") -> "Traits":
        """Return both together; where both say something, the outer decorator (this) counts."""
        return Traits(
            policy=self.policy | below.policy,
            is_asynchronous=self.is_asynchronous or below.is_asynchronous,
            is_raw=self.is_raw or below.is_raw,
            jsonp_parameter=self.jsonp_parameter or below.jsonp_parameter,
            redirects=self.redirects or below.redirects,
            timeout_seconds=self.timeout_seconds or below.timeout_seconds,
        )


NO_TRAITS = Traits()


def own_traits(layer: object) -> Traits:
    """Return what is said on this object; an object that answers every attribute says nothing."""
    said = getattr(layer, TRAITS_ATTRIBUTE, None)
    return said if isinstance(said, Traits) else NO_TRAITS


def add_traits(fn: _F, **said: Any) -> _F:
    """Say something more about a function, and return it."""
    setattr(fn, TRAITS_ATTRIBUTE, replace(NO_TRAITS, **said).over(own_traits(fn)))
    return fn
