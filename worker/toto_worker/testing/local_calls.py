"""``toto.testing.call_method``: a method called as a gateway and a worker would call it."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tornado.httputil import HTTPHeaders

from toto._core.failure import Failure, status_of
from toto._core.formats.format import Format
from toto._core.formats.registry import FormatRegistry
from toto._core.testing.answer import Answer, SentEvent
from toto._core.testing.call_options import CallOptions
from toto._wire.messages import RequestInfo, SessionInfo
from toto.exceptions import ERROR_SERVER, TotoException
from toto.session import TotoSession
from toto_worker.methods import Method
from toto_worker.testing.local_sessions import Accounts, LocalSessions
from toto_worker.testing.local_worker import LocalWorker, all_formats
from toto_worker.testing.outcome import Gathered, Outcome
from toto_worker.testing.targets import Target, local_methods

__all__ = ["call_locally"]

TIMEOUT_SECONDS = 30.0
FORM = "application/x-www-form-urlencoded"
BODILESS_STATUSES = (204, 304)


def call_locally(
    target: Target,
    parameters: Any,
    session: Mapping[str, Any] | TotoSession | None,
    accounts: Accounts,
    methods: str | Mapping[str, Target] | None,
    options: CallOptions,
) -> Answer:
    """Call a method and return its answer, or raise what it did not mean to raise."""
    method, table = local_methods(target, methods)
    formats = all_formats()
    sessions = LocalSessions(session, accounts, options["settings"])
    info, body = _request(method, parameters, sessions.info(), formats, options)
    unexpected: list[tuple[BaseException, bool]] = []
    worker = LocalWorker(
        table,
        sessions.services,
        formats,
        debug=options["debug"],
        on_error=lambda error, is_nested: unexpected.append((error, is_nested)),
    )
    timeout_seconds = options.get("timeout_seconds") or method.traits.timeout_seconds
    outcome = worker.call(method.name, body, info, timeout_seconds or TIMEOUT_SECONDS)
    if options["raises"]:
        _raise_unexpected(outcome, unexpected)
    answer = _answer(method, info, outcome, formats, sessions, options)
    answer.events.extend(
        SentEvent(name, formats.msgpack.loads(payload), is_broadcast)
        for name, payload, is_broadcast in worker.sent_events
    )
    return answer


def _raise_unexpected(outcome: Outcome, unexpected: list[tuple[BaseException, bool]]) -> None:
    for error, is_nested in reversed(unexpected):
        # The calling method may have dealt with the failure of one that it called.
        if not is_nested or outcome.code == ERROR_SERVER:
            raise error


def _request(
    method: Method,
    parameters: Any,
    session: SessionInfo,
    formats: FormatRegistry,
    options: CallOptions,
) -> tuple[RequestInfo, bytes]:
    headers = {name.lower(): str(value) for name, value in options["headers"].items()}
    uri = options["uri"] or "/" + method.name.replace(".", "/")
    given = {} if parameters is None else parameters
    if options["verb"] == "POST":
        content_type, body = _posted(method, given, formats, options)
        headers.setdefault("content-type", content_type)
    else:
        body = options.get("body", b"")
        uri = f"{uri}{'&' if '?' in uri else '?'}{urlencode(given, doseq=True)}" if given else uri
    content_type = headers.get("content-type", "")
    is_post = options["verb"] == "POST"
    answer_format = (formats.for_content_type(content_type) if is_post else None) or formats.json
    info = RequestInfo(
        request_id=headers.get("x-request-id") or f"test-{secrets.token_hex(4)}",
        verb=options["verb"],
        uri=uri,
        headers=tuple(headers.items()),
        remote_ip=options["remote_ip"],
        content_type=content_type,
        body_format=answer_format.name,
        batch_key=options.get("batch_key"),
        session=session,
    )
    return info, body


def _posted(
    method: Method, parameters: Any, formats: FormatRegistry, options: CallOptions
) -> tuple[str, bytes]:
    """Return the content type and the body of a POST."""
    name = options["body_format"]
    if name == "form":
        body_format, content_type = None, FORM
    else:
        body_format = formats.by_name(name)
        if body_format is None:
            raise ValueError(f"body_format must be json, msgpack, bson or form, not {name!r}")
        content_type = body_format.content_type
    if "body" in options:
        return content_type, options["body"]
    if body_format is None:
        return content_type, urlencode(parameters, doseq=True).encode()
    return content_type, body_format.dumps({"method": method.name, "parameters": parameters})


def _answer(
    method: Method,
    info: RequestInfo,
    outcome: Outcome,
    formats: FormatRegistry,
    sessions: LocalSessions,
    options: CallOptions,
) -> Answer:
    own_format = formats.by_name(info.body_format) or formats.json
    if info.batch_key is not None and outcome.is_raw and not outcome.code:
        outcome = Gathered().failed(Failure.raw_in_batch(), own_format, info.request_id)
    head = outcome.head
    body_format = formats.for_content_type(head.content_type or None) or own_format
    content_type = head.content_type if outcome.is_raw else body_format.content_type
    headers = HTTPHeaders()
    for name, value in (*head.headers, ("Content-Type", content_type)):
        headers.add(name, value)
    items = None if outcome.items is None else [_item(own_format, each) for each in outcome.items]
    is_http = options["error_status"] == "http"
    has_begun = items is not None or bool(outcome.streamed)
    code = 0 if has_begun else outcome.code  # a stream's status was sent before its error
    status = head.status or status_of(code, http_statuses=is_http)
    is_bodiless = info.verb == "HEAD" or status in BODILESS_STATUSES or items is not None
    return Answer(
        method=method.name,
        status=status,
        headers=headers,
        content_type=content_type,
        body=b"" if is_bodiless else _body(outcome),
        returned=_returned(outcome, body_format) if items is None else items,
        error=_error(outcome, own_format if has_begun else body_format),
        items=items,
        session=sessions.after(head),
    )


def _body(outcome: Outcome) -> bytes:
    # What a failed stream of bytes has sent: the connection ends without telling why.
    has_failed = bool(outcome.streamed and outcome.code)
    return outcome.streamed if has_failed else outcome.streamed + outcome.document


def _returned(outcome: Outcome, body_format: Format) -> Any:
    if outcome.code or outcome.is_raw:
        return None
    return body_format.loads(outcome.document)["result"]


def _error(outcome: Outcome, body_format: Format) -> TotoException | None:
    if not outcome.code:
        return None
    error = body_format.loads(outcome.document)["error"]
    return TotoException(error["code"], error["value"])


def _item(body_format: Format, encoded: bytes) -> Any:
    frame = body_format.item_prefix + encoded + body_format.item_suffix
    return body_format.loads(frame)["result"]
