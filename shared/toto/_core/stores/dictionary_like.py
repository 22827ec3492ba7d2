"""The dictionary that sessions and accounts look like."""

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

__all__ = ["MISSING", "DictionaryLike"]

MISSING: Any = object()
"""Stands for a key that is not there, where None would be a value."""


class DictionaryLike:
    """A dictionary that reads None for a missing key. It is never false, not even when empty."""

    def _lookup(self, key: Any) -> Any:
        raise NotImplementedError

    def _assign(self, key: Any, value: Any) -> None:
        raise NotImplementedError

    def _discard(self, key: Any) -> None:
        raise NotImplementedError

    def _present(self) -> dict[Any, Any]:
        raise NotImplementedError

    def __bool__(self) -> bool:
        return True  # `if handler.session:` asks whether there is one

    def __getitem__(self, key: Any) -> Any:
        return self.get(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._assign(key, value)

    def __delitem__(self, key: Any) -> None:
        self._discard(key)

    def __contains__(self, key: object) -> bool:
        return self._lookup(key) is not MISSING

    def __iter__(self) -> Iterator[Any]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())

    def keys(self) -> KeysView[Any]:
        """Return the names."""
        return self._present().keys()

    def values(self) -> ValuesView[Any]:
        """Return the values."""
        return self._present().values()

    def items(self) -> ItemsView[Any, Any]:
        """Return the names with their values."""
        return self._present().items()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a value, or the default for a missing key."""
        value = self._lookup(key)
        return default if value is MISSING else value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return a value; a missing key is set to the default first."""
        if self._lookup(key) is MISSING:
            self._assign(key, default)
        return self.get(key)

    def pop(self, key: Any, default: Any = None) -> Any:
        """Remove a key and return its value, or the default for a missing key."""
        value = self.get(key, default)
        self._discard(key)
        return value

    def update(self, *args: Any, **values: Any) -> None:
        """Set several values, given as ``dict.update`` takes them."""
        for key, value in dict(*args, **values).items():
            self._assign(key, value)
