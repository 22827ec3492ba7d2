"""How session variables become bytes: one serializer for the whole process."""

import logging
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import msgpack

from toto.exceptions import ERROR_SERVER, TotoException

__all__ = ["STATE_BYTES_MAX", "Serializer", "Serializing", "read_state"]

logger = logging.getLogger("toto.session")

_EXECUTES_WHAT_IT_READS = frozenset({"pickle", "cPickle", "_pickle", "dill", "marshal"})
_PATH_LENGTH_MAX = 16
STATE_BYTES_MAX = 256 * 1024
"""Of all variables of a session: they travel with each of its calls, in one frame."""


class Serializer(Protocol):
    """A module or an object such as the standard ``json``."""

    def dumps(self, value: Any, /) -> str | bytes:
        """Return the text or the bytes of a value."""

    def loads(self, data: Any, /) -> Any:
        """Return the value of what ``dumps`` returned."""


class _Msgpack:
    """The default: fast, small, and bytes stay bytes. Tuples come back as lists."""

    @staticmethod
    def dumps(value: Any) -> bytes:
        packed: bytes = msgpack.packb(value)
        # What can be packed cannot always be unpacked: a tuple as a key, 512 levels.
        _Msgpack.loads(packed)
        return packed

    @staticmethod
    def loads(data: bytes) -> Any:
        return msgpack.unpackb(data, strict_map_key=False)


@dataclass(frozen=True, slots=True)
class _Chosen:
    serializer: Serializer
    is_text: bool
    """Whether ``dumps`` returns str; then ``loads`` is given str, which all such modules take."""

    def dumps(self, value: Any) -> bytes:
        dumped = self.serializer.dumps(value)
        return dumped.encode() if isinstance(dumped, str) else bytes(dumped)

    def loads(self, data: bytes | str) -> Any:
        if self.is_text:
            return self.serializer.loads(data if isinstance(data, str) else bytes(data).decode())
        return self.serializer.loads(data.encode() if isinstance(data, str) else data)


class Serializing:
    """Gives a class the process's serializer. It is set once, by the startup function."""

    _chosen: ClassVar[_Chosen] = _Chosen(_Msgpack(), is_text=False)

    @classmethod
    def set_serializer(cls, serializer: Serializer) -> None:
        """Choose how sessions and session caches of this process serialise session variables.

        All processes must choose the same. Sessions that were stored before the choice changed
        cannot be read any more.

        Args:
            serializer: anything with ``dumps`` and ``loads``. ``dumps`` may return str or bytes.

        Raises:
            TypeError: it has not, or cannot even serialise an empty dictionary.
        """
        if serializer is Serializing._chosen.serializer:
            return
        try:
            chosen = _Chosen(serializer, isinstance(serializer.dumps({}), str))
            fits = chosen.loads(chosen.dumps({})) == {}
        except Exception as error:
            raise TypeError("a serializer needs dumps and loads") from error
        if not fits:
            raise TypeError("a serializer's loads must return what dumps was given")
        name = getattr(serializer, "__name__", "")
        if name.partition(".")[0] in _EXECUTES_WHAT_IT_READS:
            logger.warning(
                "sessions are serialised by %s: whoever can write to the session store, or knows "
                "the session keys, can run any code in this process",
                name,
            )
        Serializing._chosen = chosen

    @classmethod
    def loads(cls, data: bytes | str) -> Any:
        """Return the value of serialised data; raises what the serializer raises."""
        return Serializing._chosen.loads(data)

    @classmethod
    def dumps(cls, data: Any) -> bytes:
        """Return serialised data, always as bytes.

        Raises:
            TotoException: something in it cannot be serialised, or it takes more than 256 KiB
                (1000); the value says what.
        """
        try:
            dumped = Serializing._chosen.dumps(data)
        except Exception as error:
            raise TotoException(ERROR_SERVER, _complaint(data)) from error
        if len(dumped) > STATE_BYTES_MAX:
            raise TotoException(
                ERROR_SERVER, f"The session's variables take more than {STATE_BYTES_MAX} bytes."
            )
        return dumped


def read_state(state: bytes) -> dict[Any, Any]:
    """Return the variables of a serialised state; of an empty one there are none.

    Raises:
        TotoException: it cannot be read, or is no dictionary (1000).
    """
    if not state:
        return {}
    try:
        variables = Serializing.loads(state)
        if not isinstance(variables, dict):
            raise TypeError(f"not a dictionary: {type(variables).__name__}")
    except Exception as error:
        # Any serializer may be in use. The text of its error may quote what it read, so no more
        # than the type is logged.
        logger.error("the state of a session cannot be read: %s", type(error).__name__)
        raise TotoException(ERROR_SERVER, "The session's state cannot be read.") from error
    return variables


def _complaint(data: Any) -> str:
    """Find the innermost value that cannot be serialised; say where it is and of which type."""
    path = "the session"
    for _ in range(_PATH_LENGTH_MAX):
        part = next((part for part in _parts(data) if not _fits(part[1])), None)
        if part is None:
            break
        path, data = f"{path}[{part[0]:.64}]", part[1]
    what = f"a value of type {type(data).__name__}"
    if isinstance(data, int):
        what = "an integer of more than 64 bits"
    elif isinstance(data, dict | list | tuple):
        what = f"a {type(data).__name__} that is too deep, or has keys of another type than text"
    return f"{path} cannot be serialised: it is {what}."


def _parts(data: Any) -> list[tuple[str, Any]]:
    if isinstance(data, dict):
        return [
            (repr(key) if isinstance(key, str) else type(key).__name__, value)
            for key, value in data.items()
        ]
    if isinstance(data, list | tuple):
        return [(str(index), value) for index, value in enumerate(data)]
    return []


def _fits(value: Any) -> bool:
    try:
        Serializing._chosen.dumps(value)
    except Exception:  # noqa: BLE001  # any serializer may be in use
        return False
    return True
