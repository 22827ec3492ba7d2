"""Files for browsers: the folder of the option ``static_path``, below the URL of ``static_url``.

Tornado's handler knows ranges and conditional requests. What it leaves open is closed here: hidden
files, links that lead out of the folder, tags for which it reads and hashes whole files, and a loop
that nobody else gets while a client reads as fast as a large file comes.
"""

import asyncio
import http
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from tornado.httputil import HTTPConnection, HTTPMessageDelegate, format_timestamp
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, StaticFileHandler

from toto._core.logs import REQUEST_ID
from toto_gateway.http.client_address import ClientAddress
from toto_gateway.http.public_folder import FileChanged, PublicFile, PublicFolder
from toto_gateway.http.responder import ClosableConnection
from toto_gateway.request import request_id_of

__all__ = ["StaticFiles"]

_log = logging.getLogger("toto.gateway")
_access_log = logging.getLogger("toto.access")

PATIENCE_SECONDS = 60.0
"""A client that takes no part of a file for so long is cut off, as with streams."""


class StaticFiles:
    """Serves the files of one folder; made once in a gateway process.

    Of a URL that lies below both the files' prefix and that of the methods, the longer prefix
    decides. While the gateway drains, files are served on the connections that are left: a page
    that has begun to load needs them, and they need no worker.

    Args:
        folder: its files are for everybody, except hidden ones.
        url: prefix of the files: ``/``, or a path without a slash at its end.
        method_root: prefix of the methods, in the same form, and another one.
        client_address: tells clients behind proxies apart, for the log.
        tasks: requests under way, for which the server waits when it stops.
        is_draining: True from the moment the gateway was told to stop.
        access_log: write a log line for each request.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        url: str,
        method_root: str,
        client_address: ClientAddress,
        tasks: set[asyncio.Task[None]],
        is_draining: Callable[[], bool],
        access_log: bool,
    ) -> None:
        self._base = url.rstrip("/")
        self._method_base = method_root.rstrip("/")
        public = PublicFolder(folder)
        self._application = Application(
            [(r"(.*)", _FileHandler, {"path": public.path})],
            log_function=_log_nothing,
            mount=_Mount(public, self._base, client_address, tasks, is_draining, access_log),
        )

    def delegate_for(
        self, verb: str, path: str, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate | None:
        """Return what answers the request if it asks for a file, else None.

        Args:
            verb: GET and HEAD are answered, OPTIONS is left to the rules about other origins, and
                any other is refused (405).
            path: of the request, as it was sent and without its query.
            server_conn: as ``HTTPServerConnectionDelegate.start_request`` got it.
            request_conn: as well.
        """
        if verb == "OPTIONS" or not _is_below(path, self._base):
            return None
        is_call = _is_below(path, self._method_base) and len(self._method_base) > len(self._base)
        return None if is_call else self._application.start_request(server_conn, request_conn)


@dataclass(frozen=True, slots=True)
class _Mount:
    """What all requests for files share."""

    folder: PublicFolder
    base: str
    """The URL prefix, without a slash at its end."""
    client_address: ClientAddress
    tasks: set[asyncio.Task[None]]
    is_draining: Callable[[], bool]
    access_log: bool


class _FileHandler(StaticFileHandler):
    """Answers one request for a file."""

    SUPPORTED_METHODS = ("GET", "HEAD")
    _file: PublicFile
    _has_begun = False

    # -- what Tornado calls, in this order

    def set_default_headers(self) -> None:
        """Begin with the headers of every answer, errors too."""
        self.clear_header("Server")
        self.set_header("X-Request-Id", self._request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-cache")
        if self._mount.is_draining():
            self.set_header("Connection", "close")

    def prepare(self) -> None:
        """Count among the requests under way."""
        REQUEST_ID.set(self._request_id)
        task = asyncio.current_task()
        if task is not None:
            self._mount.tasks.add(task)
            task.add_done_callback(self._mount.tasks.discard)

    def parse_url_path(self, url_path: str) -> str:
        """Find the file, and return its way from the folder."""
        names = url_path[len(self._mount.base) :].removesuffix("/").split("/")[1:]
        try:
            self._file = self._mount.folder.find(names)
        except PermissionError as error:
            _log.warning("%s cannot be served: %s", url_path, error.strerror)
            raise HTTPError(404) from error
        except FileNotFoundError as error:
            raise HTTPError(404) from error
        return "/".join(names)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Return the path of the file; None when the client is sent elsewhere."""
        has_slash = self.request.path.endswith("/")
        if self._file.is_index and not has_slash:
            # Links of the page are relative to its folder.
            query = f"?{self.request.query}" if self.request.query else ""
            self.redirect(f"{self.request.path}/{query}", permanent=True)
            return None
        if has_slash and not self._file.is_index:
            raise HTTPError(404)
        self._ignore_range_of_another_version()
        return self._file.path

    def get_content_size(self) -> int:
        """Return the bytes of the file."""
        return self._file.size

    def get_modified_time(self) -> datetime:
        """Return the file's time in whole seconds, which is what headers can tell."""
        return datetime.fromtimestamp(int(self._file.status.st_mtime), UTC)

    def compute_etag(self) -> str:
        """Return the file's version."""
        return self._file.etag

    def get_content_type(self) -> str:
        """Return the type by the file's name."""
        return self._file.content_type

    def get_cache_time(self, path: str, modified: datetime | None, mime_type: str) -> int:
        """Have browsers ask each time; Tornado gives URLs with ``?v=`` ten years."""
        return 0

    def get_content(  # type: ignore[override]  # of a class method: the file is this request's
        self, abspath: str, start: int | None = None, end: int | None = None
    ) -> Iterator[bytes]:
        """Read the file, or its bytes from ``start`` to before ``end``, part by part."""
        return self._file.parts(start or 0, self._file.size if end is None else end)

    def flush(self, include_footers: bool = False) -> "asyncio.Future[None]":
        """Write what there is; a part is followed by the next when the kernel has taken it."""
        self._has_begun = True
        written = super().flush(include_footers)
        # A task, because a client that reads fast enough would keep the loop for itself.
        return written if include_footers else asyncio.ensure_future(self._taken(written))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with an error; a file that has begun is cut, so that it does not look whole."""
        if self._has_begun:
            self._cut()
            self.finish()
        else:
            super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say the status in words, and nothing of what the server has."""
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {http.HTTPStatus(status_code).phrase}\n")

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what the client is not to blame for."""
        if isinstance(value, FileChanged):
            _log.warning("%s changed while it was sent: cut off", self.request.path)
        elif not isinstance(value, HTTPError):
            _log.error("%s %s failed", self.request.method, self.request.path, exc_info=value)

    def on_finish(self) -> None:
        """Write the line of the access log."""
        if not self._mount.access_log:
            return
        request = self.request
        _access_log.info(
            "%s %s %d %.1f ms %s",
            request.method,
            request.path,
            self.get_status(),
            request.request_time() * 1000,
            self._mount.client_address.of(
                request.remote_ip or "", request.headers.get("X-Forwarded-For", "")
            ),
        )

    # -- inside

    @property
    def _mount(self) -> _Mount:
        return cast(_Mount, self.settings["mount"])  # needed before ``initialize`` is called

    @cached_property
    def _request_id(self) -> str:
        return request_id_of(self.request.headers.get("X-Request-Id", ""))

    def _ignore_range_of_another_version(self) -> None:
        """Give the whole file to who wants the rest of one that he has begun to get earlier."""
        version = self.request.headers.get("If-Range")
        known = (self.compute_etag(), format_timestamp(self.get_modified_time()))
        if version is not None and version not in known:
            self.request.headers.pop("Range", None)

    async def _taken(self, written: "asyncio.Future[None]") -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await written
        except TimeoutError:
            self._cut()
            raise StreamClosedError from None

    def _cut(self) -> None:
        cast(ClosableConnection, self.request.connection).close()


def _is_below(path: str, base: str) -> bool:
    return path == base or path.startswith(f"{base}/")


def _log_nothing(handler: object) -> None:
    """Take Tornado's own lines of the access log."""
