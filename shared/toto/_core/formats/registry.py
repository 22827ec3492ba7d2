"""Which formats are enabled, and which one a content type asks for."""

from toto._core.formats.bson_format import BsonFormat
from toto._core.formats.format import Format
from toto._core.formats.json_format import JsonFormat
from toto._core.formats.limits import DecodeLimits
from toto._core.formats.msgpack_format import MsgpackFormat

__all__ = ["FormatRegistry"]

MSGPACK_ALIASES = ("application/x-msgpack", "application/vnd.msgpack")
UTF_8_NAMES = ("utf-8", "utf8")


class FormatRegistry:
    """The enabled formats, by content type and by name.

    Args:
        msgpack_enabled: accept msgpack bodies.
        bson_enabled: accept BSON bodies, which needs the ``bson`` extra installed.
        limits: bounds on what a body may decode to.
    """

    def __init__(
        self, *, msgpack_enabled: bool, bson_enabled: bool, limits: DecodeLimits | None = None
    ) -> None:
        limits = limits or DecodeLimits()
        self.json: Format = JsonFormat(limits)
        self.msgpack: Format = MsgpackFormat(limits)
        """Of calls that methods make; ``msgpack_enabled`` is about clients."""
        formats: list[Format] = [self.json]
        if msgpack_enabled:
            formats.append(self.msgpack)
        if bson_enabled:
            formats.append(BsonFormat(limits))
        self._by_name = {each.name: each for each in formats}
        self._by_media_type = {each.content_type: each for each in formats}
        if msgpack_enabled:
            self._by_media_type.update(dict.fromkeys(MSGPACK_ALIASES, self.msgpack))

    def for_content_type(self, value: str | None) -> Format | None:
        """Return the format of a content-type header, or None when it is not an enabled one."""
        if value is None:
            return None
        known = self._by_media_type.get(value)
        if known is not None:
            return known
        media_type, _, options = value.partition(";")
        known = self._by_media_type.get(media_type.strip().lower())
        if known is self.json and not _is_utf_8(options):
            return None
        return known

    def by_name(self, name: str) -> Format | None:
        """Return the enabled format of that name."""
        return self._by_name.get(name)


def _is_utf_8(options: str) -> bool:
    """Tell whether a content type's options leave the text in UTF-8."""
    for option in options.split(";"):
        name, _, value = option.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in UTF_8_NAMES:
            return False
    return True
