"""Which format a content type asks for."""

import sys

import pytest

from toto._core.formats.registry import FormatRegistry

REGISTRY = FormatRegistry(msgpack_enabled=True, bson_enabled=True)


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/json", "json"),
        ("Application/JSON", "json"),
        ("application/json; charset=utf-8", "json"),
        ('application/json;charset="UTF-8"', "json"),
        (" application/json ; version=1; charset=utf8 ", "json"),
        ("application/json; charset=latin-1", None),
        ("application/json; CHARSET=utf-16", None),
        ("application/msgpack", "msgpack"),
        ("application/x-msgpack", "msgpack"),
        ("application/vnd.msgpack; charset=binary", "msgpack"),
        ("application/bson", "bson"),
        ("text/json", None),
        ("application/jsonp", None),
        ("", None),
        (";", None),
        (None, None),
    ],
)
def test_a_content_type_names_a_format(content_type: str | None, name: str | None) -> None:
    """Only the media type counts, in any case, and JSON must be UTF-8."""
    found = REGISTRY.for_content_type(content_type)

    assert (found and found.name) == name


def test_formats_that_are_not_enabled_are_unknown() -> None:
    """With both switches off JSON is all there is."""
    registry = FormatRegistry(msgpack_enabled=False, bson_enabled=False)

    assert registry.by_name("json") is registry.json
    assert registry.for_content_type("application/json") is registry.json
    for name in ("msgpack", "x-msgpack", "bson"):
        assert registry.by_name(name) is None
        assert registry.for_content_type(f"application/{name}") is None


def test_bson_is_only_needed_when_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pymongo the other formats work, and enabling BSON fails at once."""
    monkeypatch.setitem(sys.modules, "bson", None)

    assert FormatRegistry(msgpack_enabled=True, bson_enabled=False).by_name("bson") is None
    with pytest.raises(ImportError):
        FormatRegistry(msgpack_enabled=True, bson_enabled=True)
