"""From a request to the calls it asks for (contract 2). No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from toto._core.failure import Failure
from toto._core.formats.errors import MalformedBody
from toto._core.formats.format import Format
from toto._core.formats.limits import FORM_FIELDS_MAX
from toto._core.formats.registry import FormatRegistry
from toto._wire.constants import METHOD_NAME_LENGTH_MAX
from toto_gateway.request import Request

__all__ = ["BatchCall", "Decoder", "RequestRefused", "SingleCall", "origin_path"]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_SCHEME_AND_AUTHORITY = re.compile(r"https?://[^/]*", re.IGNORECASE)


class RequestRefused(Exception):  # it is an answer, not a fault
    """The request asks for nothing that can be run."""

    def __init__(self, failure: Failure, body_format: Format) -> None:
        super().__init__(failure.value)
        self.failure = failure
        self.body_format = body_format


@dataclass(frozen=True, slots=True)
class SingleCall:
    """One method and the body it gets its parameters from."""

    method: str
    body: bytes
    content_type: str
    body_format: Format


@dataclass(frozen=True, slots=True)
class BatchCall:
    """Several calls by key; a member that cannot be run is a failure already."""

    members: Mapping[str, SingleCall | Failure]
    body_format: Format


class Decoder:
    """Reads requests.

    Args:
        formats: the enabled formats.
        root: URL prefix of all methods.
        method_select: ``url``, ``parameter`` or ``both``.
        batch_max: members a batch may have.
    """

    def __init__(
        self, formats: FormatRegistry, *, root: str, method_select: str, batch_max: int
    ) -> None:
        self._formats = formats
        self._prefix = root.rstrip("/") + "/"
        self._reads_url = method_select in ("url", "both")
        self._reads_body = method_select in ("parameter", "both")
        self._batch_max = batch_max

    def decode(self, request: Request) -> SingleCall | BatchCall:
        """Return what the request asks for.

        Raises:
            RequestRefused: with the error and the format to answer it in.
        """
        body_format, call_format = self._formats_of(request)
        path = origin_path(request.path)
        self._check_root(path, body_format)
        try:
            named = self._method_in_url(path)
            if call_format is None:
                return self._plain_call(request, named)
            is_empty = not request.body and call_format is self._formats.json
            if named is not None or is_empty:
                # The worker decodes the body and refuses a bad one; once is enough.
                return self._named(request, named, body_format)
            return self._call_in_body(request, call_format)
        except MalformedBody as error:
            raise RequestRefused(Failure.malformed(str(error)), body_format) from error

    def format_of(self, request: Request) -> Format:
        """Return the format a request's answer is encoded in, whatever else is wrong with it."""
        return self._formats.for_content_type(request.header("content-type")) or self._formats.json

    def _formats_of(self, request: Request) -> tuple[Format, Format | None]:
        """Return the answer's format, and the body's if it holds an envelope."""
        content_type = request.header("content-type")
        if request.verb != "POST":
            return self._formats.json, None
        if not content_type:
            return self._formats.json, self._formats.json
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type in (FORM, MULTIPART):
            return self._formats.json, None
        body_format = self._formats.for_content_type(content_type)
        if body_format is None:
            raise RequestRefused(Failure.unsupported_media_type(), self._formats.json)
        return body_format, body_format

    def _check_root(self, path: str, body_format: Format) -> None:
        if not path.startswith(self._prefix) and path + "/" != self._prefix:
            raise RequestRefused(Failure.invalid_method(path), body_format)

    def _method_in_url(self, path: str) -> str | None:
        if not self._reads_url:
            return None
        name = unquote(path[len(self._prefix) :]).strip("/")
        return name.replace("/", ".") or None

    def _plain_call(self, request: Request, named: str | None) -> SingleCall:
        """A form, a file upload or a query: the method is in the URL or a field of its own."""
        if named is None and self._reads_body:
            source = request.query if request.verb != "POST" else _form_text(request)
            named = _field(source, "method")
        return self._named(request, named, self._formats.json)

    def _named(self, request: Request, method: str | None, body_format: Format) -> SingleCall:
        if method is None:
            raise RequestRefused(Failure.missing_method(), body_format)
        if len(method) > METHOD_NAME_LENGTH_MAX:
            raise RequestRefused(Failure.invalid_method(method), body_format)
        return SingleCall(method, request.body, request.header("content-type"), body_format)

    def _call_in_body(self, request: Request, body_format: Format) -> SingleCall | BatchCall:
        envelope = body_format.open_envelope(request.body)
        if envelope.batch is not None:
            return self.batch_of(envelope.batch, body_format)
        if not self._reads_body:
            raise RequestRefused(Failure.missing_method(), body_format)
        return self._named(request, envelope.method, body_format)

    def batch_of(self, batch: Mapping[str, bytes | None], body_format: Format) -> BatchCall:
        """Return the calls of a batch.

        Args:
            batch: the members' own documents; None for what is no object.
            body_format: the format of all of them.

        Raises:
            RequestRefused: there are too many.
        """
        if len(batch) > self._batch_max:
            reason = f"a batch may have {self._batch_max} members at most"
            raise RequestRefused(Failure.malformed(reason), body_format)
        members = {key: self._member(document, body_format) for key, document in batch.items()}
        return BatchCall(members, body_format)

    def _member(self, document: bytes | None, body_format: Format) -> SingleCall | Failure:
        if document is None:
            return Failure.malformed("a batch member must be an object")
        try:
            method = body_format.member_method(document)
        except MalformedBody as error:
            return Failure.malformed(str(error))
        if method is None:
            return Failure.missing_method()
        if len(method) > METHOD_NAME_LENGTH_MAX:
            return Failure.invalid_method(method)
        return SingleCall(method, document, body_format.content_type, body_format)


def origin_path(path: str) -> str:
    """Return the path of a target that may begin with scheme and host (RFC 9112, 3.2.2)."""
    if path.startswith("/"):
        return path
    match = _SCHEME_AND_AUTHORITY.match(path)
    return path[match.end() :] or "/" if match else path


def _form_text(request: Request) -> str:
    if request.header("content-type").partition(";")[0].strip().lower() != FORM:
        return ""
    return request.body.decode("latin-1")


def _field(source: str, name: str) -> str | None:
    try:
        values = parse_qs(source, max_num_fields=FORM_FIELDS_MAX).get(name)
    except ValueError:
        raise MalformedBody("the form fields cannot be read") from None
    return values[0] if values else None
