"""The second argument of ``invoke``, from the bytes the client sent."""

from typing import Any
from urllib.parse import parse_qs

from tornado.httputil import (
    HTTPFile,
    HTTPInputError,
    ParseMultipartConfig,
    parse_multipart_form_data,
)

from toto._core.formats.envelope import parameters as envelope_parameters
from toto._core.formats.errors import MalformedBody
from toto._core.formats.limits import FORM_FIELDS_MAX
from toto._core.formats.registry import FormatRegistry
from toto._core.request import Request

__all__ = ["decode_parameters"]

PARTS_MAX = 100
"""Parts of a multipart body."""


def decode_parameters(request: Request, formats: FormatRegistry) -> Any:
    """Return the parameters of a call (contract 2).

    Raises:
        MalformedBody: when the body is not what its content type says.
    """
    if request.verb in ("GET", "HEAD"):
        query = _arguments(request.uri.partition("?")[2])
        return {name: values[0] if len(values) == 1 else values for name, values in query.items()}
    media_type = request.content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        try:
            return _arguments(request.body.decode("ascii"))
        except UnicodeDecodeError:
            raise MalformedBody("a form must be percent-encoded") from None
    if media_type == "multipart/form-data":
        return _multipart(request)
    if not request.body:
        return {}
    body_format = (
        formats.for_content_type(request.content_type) if request.content_type else formats.json
    )
    if body_format is None:
        raise MalformedBody("the content type is not enabled in this worker")
    return envelope_parameters(body_format.loads(request.body))


def _arguments(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(
            text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise MalformedBody("the form fields cannot be read") from None


def _multipart(request: Request) -> dict[str, Any]:
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    boundary = _boundary(request.content_type)
    try:
        # Tornado counts what stands before the first boundary as a part.
        config = ParseMultipartConfig(max_parts=PARTS_MAX + 1)
        parse_multipart_form_data(boundary, request.body, arguments, files, config=config)
        texts = {name: [v.decode() for v in values] for name, values in arguments.items()}
    except (HTTPInputError, ValueError):
        raise MalformedBody("the multipart body cannot be read") from None
    return {
        "arguments": texts,
        "files": {name: [dict(file) for file in several] for name, several in files.items()},
    }


def _boundary(content_type: str) -> bytes:
    for field in content_type.split(";")[1:]:
        name, _, value = field.strip().partition("=")
        if name.lower() == "boundary" and value:
            return value.encode("latin-1")
    raise MalformedBody("the multipart body has no boundary")
