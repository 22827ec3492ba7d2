"""JSON, by orjson, which is fast but lets some things pass that must not.

orjson keeps the last of duplicate keys, turns integers over 64 bits into floats and nests 1,024
deep. One scan of the text, its strings taken out, tells how many containers, keys and long numbers
there must be; the decoded value is then compared with that, which needs no look at its leaves.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from toto._core.formats.envelope import (
    CallEnvelope,
    call_envelope,
    check_member_count,
    check_member_key,
    method_of_member,
    not_an_object,
)
from toto._core.formats.errors import MalformedBody
from toto._core.formats.limits import DecodeLimits
from toto._core.formats.tree import PlainCopier

__all__ = ["JsonFormat"]

SHORT_BODY = 4096
INTEGER_MAX = 2**64 - 1
INTEGER_MINUS_MAX = 2**63
INTEGER_DIGITS_MAX = 20
DIGITS_TO_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
LONG_DIGITS = b"0" * 19
RUN_OF_DIGITS = re.compile(rb"[0-9]+")
FLOAT_SO_FAR = (b".", b"e", b"E", b"+", b"e-", b"E-")
FLOAT_GOES_ON = (b".", b"e", b"E")


class JsonFormat:
    """The JSON of request and answer bodies.

    Floats without a JSON form (NaN, Infinity) are written as ``null``; datetimes, dates, times,
    UUIDs, enums and dataclasses as orjson writes them.
    """

    name = "json"
    content_type = "application/json"
    item_prefix = b'{"result":'
    item_suffix = b"}\n"

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._copier = PlainCopier(self.name, orjson.dumps)

    def loads(self, body: bytes) -> Any:
        """Decode a body, or raise MalformedBody."""
        if len(body) > self._limits.nodes_max:
            self._check_nodes(body)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise MalformedBody(
                f"the body is not valid JSON: {error.msg} (character {error.pos})"
            ) from None
        # Strings can only add to what is counted, so a short text that fits with them in is right;
        # cutting them out would take as long as decoding.
        text = body if len(body) <= SHORT_BODY else _without_strings(body)
        complaint = self._complaint(value, text)
        if complaint and text is body:
            complaint = self._complaint(value, _without_strings(body))
        if complaint:
            raise MalformedBody(complaint)
        return value

    def _check_nodes(self, body: bytes) -> None:
        # Before decoding: a body this long could take a hundred times its size in memory.
        nodes_max = self._limits.nodes_max
        if _nodes(body) > nodes_max and _nodes(_without_strings(body)) > nodes_max:
            raise MalformedBody(f"the body has more than {nodes_max} values")

    def _complaint(self, value: Any, text: bytes) -> str | None:
        """Say what orjson let pass, visiting no more of the value than it takes."""
        digits = text.translate(DIGITS_TO_ZERO)
        if LONG_DIGITS in digits and _has_huge_integer(text, digits):
            return "an integer does not fit in 64 bits"
        if value.__class__ is not dict and value.__class__ is not list:
            return None
        unseen = text.count(b"{") + text.count(b"[") - 1
        keys = 0
        level = [value]
        for _ in range(self._limits.depth_max):
            for container in level:
                if container.__class__ is dict:
                    keys += len(container)
            if not unseen:
                break
            level = _containers_in(level, unseen)
            if not level:
                break
            unseen -= len(level)
        else:
            return f"the body is nested deeper than {self._limits.depth_max} levels"
        return None if keys == text.count(b":") else "an object has the same key twice"

    def dumps(self, value: Any) -> bytes:
        """Encode a value, or raise NotSerializable."""
        try:
            return orjson.dumps(value)
        except orjson.JSONEncodeError:
            return self._copier.encode(value)

    def result(self, value: Any) -> bytes:
        """Make the finished envelope of a result."""
        return b'{"result":' + self.dumps(value) + b"}"

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Make the finished envelope of an error."""
        return b'{"error":' + self.dumps(dict(error)) + b"}"

    def encode_item(self, value: Any) -> bytes:
        """Encode a value: one of a list, of a stream or of an object, or a session."""
        return self.dumps(value)

    def join_list(self, items: Iterable[bytes]) -> bytes:
        """Make the envelope whose result is the list of the encoded items."""
        return b'{"result":[' + b",".join(items) + b"]}"

    def join_batch(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make the envelope of a batch from its members' finished envelopes."""
        joined = b",".join([orjson.dumps(key) + b":" + envelope for key, envelope in members])
        return b'{"batch":{' + joined + b"}}"

    def end(self) -> bytes:
        """Make the document that ends a stream that went well."""
        return b'{"end":true}'

    def with_session(self, document: bytes, session: bytes) -> bytes:
        """Add the encoded session to an envelope or to the document that ends a stream."""
        return document[:-1] + b',"session":' + session + b"}"

    def with_member(self, document: bytes, name: str, item: bytes) -> bytes:
        """Put an encoded item, under a plain word, in front of what a finished envelope holds."""
        return b'{"' + name.encode() + b'":' + item + b"," + document[1:]

    def join_object(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make an object of a few encoded items, by plain words."""
        joined = b",".join([b'"%b":%b' % (name.encode(), item) for name, item in members])
        return b"{" + joined + b"}"

    def open_envelope(self, body: bytes) -> CallEnvelope:
        """Read the method's name, or take a batch apart."""
        return self.open_message(body, ())[0]

    def open_message(
        self, body: bytes, names: Iterable[str]
    ) -> tuple[CallEnvelope, dict[str, Any]]:
        """Do as ``open_envelope``, and decode those members of the object that have these names."""
        document = self.loads(body)
        if type(document) is not dict:
            raise not_an_object()
        envelope = _envelope(document, self._limits.members_max)
        return envelope, {name: document[name] for name in names if name in document}

    def member_method(self, document: bytes) -> str | None:
        """Read the method's name from one batch member."""
        return method_of_member(self.open_envelope(document))


def _envelope(document: dict[str, Any], members_max: int) -> CallEnvelope:
    batch = document.get("batch")
    if batch is None and "batch" not in document:
        return call_envelope(document, None)
    if type(batch) is not dict:
        raise not_an_object("the batch")
    check_member_count(len(batch), members_max)
    members: dict[str, bytes | None] = {}
    for key, member in batch.items():
        check_member_key(key)
        members[key] = orjson.dumps(member) if type(member) is dict else None
    return call_envelope(document, members)


def _without_strings(body: bytes) -> bytes:
    """Cut all strings out of a JSON text; of a text that is not JSON, cut something."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2])


def _nodes(structure: bytes) -> int:
    return structure.count(b",") + structure.count(b"[") + structure.count(b"{") + 1


def _has_huge_integer(text: bytes, digits: bytes) -> bool:
    """Look at the long runs of digits: some are parts of floats, the rest must fit in 64 bits."""
    start = digits.find(LONG_DIGITS)
    while start >= 0:
        end = RUN_OF_DIGITS.match(text, start).end()  # type: ignore[union-attr]  # 19 are there
        before = text[max(0, start - 2) : start]
        is_float = before.endswith(FLOAT_SO_FAR) or text[end : end + 1] in FLOAT_GOES_ON
        if not is_float:
            if end - start > INTEGER_DIGITS_MAX:
                return True
            number = int(text[start:end])
            if number > (INTEGER_MINUS_MAX if before.endswith(b"-") else INTEGER_MAX):
                return True
        start = digits.find(LONG_DIGITS, end)
    return False


def _containers_in(level: list[Any], wanted: int) -> list[Any]:
    """Return the containers directly inside those of a level, small ones searched first.

    The search ends when the wanted number is found, so a long list of numbers beside a small
    object is rarely looked at.
    """
    if len(level) > 1:
        level.sort(key=len)
    nested: list[Any] = []
    for container in level:
        children = container.values() if container.__class__ is dict else container
        nested += [item for item in children if item.__class__ is dict or item.__class__ is list]
        if len(nested) == wanted:
            break
    return nested
