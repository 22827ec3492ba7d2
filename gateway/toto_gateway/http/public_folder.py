"""A folder whose files are for everybody: which of them are, and what they hold. Knows no HTTP."""

import errno
import mimetypes
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

__all__ = ["FileChanged", "PublicFile", "PublicFolder"]

INDEX = "index.html"
PART_BYTES = 64 * 1024
"""Read at a time; so much of a file is in memory for each client."""
DEPTH_MAX = 64
"""Of folders inside each other: each name costs a look at the disk, and strangers send names."""
# Browsers run no module of another type than text/javascript, and hosts have been seen to say so.
CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
BYTES = "application/octet-stream"
_OTHER_CONTENT_TYPES = mimetypes.MimeTypes()  # Python's own table; none of the host's
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_NOT_THERE = frozenset(
    {
        errno.EACCES,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)


class FileChanged(Exception):  # it happens, and is nobody's fault
    """A file is not what it was when somebody began to read it."""


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file as it was when it was looked for.

    It is not kept open: descriptors are short when clients are many. That each part is read from
    the same file as the one before is checked instead.
    """

    path: str
    status: os.stat_result
    is_index: bool
    """It stands for the folder that was asked for."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.status.st_size

    @property
    def etag(self) -> str:
        """Its version by time and size: it need not be read, and a change is seen at once."""
        return f'"{self.status.st_mtime_ns:x}-{self.status.st_size:x}"'

    @property
    def content_type(self) -> str:
        """Its type by its name, the same on every host."""
        known = CONTENT_TYPES.get(os.path.splitext(self.path)[1].lower())
        if known is None:
            guessed, encoding = _OTHER_CONTENT_TYPES.guess_type(self.path)
            if encoding is not None:
                return "application/gzip" if encoding == "gzip" else BYTES
            known = guessed or BYTES
        return f"{known}; charset=utf-8" if known.startswith("text/") else known

    def parts(self, start: int, end: int) -> Iterator[bytes]:
        """Read the bytes from ``start`` to before ``end``, part by part.

        Raises:
            FileChanged: another file, or another version of this one, has taken its place.
        """
        while start < end:
            yield self._part(start, min(PART_BYTES, end - start))
            start += PART_BYTES

    def _part(self, offset: int, size: int) -> bytes:
        try:
            with _opened(self.path) as file:
                part = os.pread(file.fileno(), size, offset)
                now = os.fstat(file.fileno())
        except FileNotFoundError as error:
            raise FileChanged(self.path) from error
        if len(part) != size or _version(now) != _version(self.status):
            raise FileChanged(self.path)
        return part


class PublicFolder:
    """Finds files. Hidden ones, and links that lead out of the folder, are as if not there.

    Args:
        path: may be a link, also one that is set to another folder while this one serves.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = os.path.abspath(path)

    def find(self, names: Sequence[str]) -> PublicFile:
        """Return a file, or the index of a folder.

        Args:
            names: the way from this folder to the file: folders, then its name.

        Raises:
            FileNotFoundError: there is none to be served.
            PermissionError: there is one which this process may not read.
            OSError: the file system is in trouble.
        """
        if len(names) > DEPTH_MAX or not _are_visible(names):
            raise FileNotFoundError(errno.ENOENT, "not for everybody")
        path = self._resolved(os.path.join(self.path, *names))
        is_folder = os.path.isdir(path)
        if is_folder:
            path = self._resolved(os.path.join(path, INDEX))
        return PublicFile(path, _status(path), is_index=is_folder)

    def _resolved(self, path: str) -> str:
        folder, path = os.path.realpath(self.path), os.path.realpath(path)
        prefix = folder.rstrip("/") + "/"
        is_inside = path == folder or path.startswith(prefix)
        names = [name for name in path[len(prefix) :].split("/") if name]
        if not is_inside or not _are_visible(names):
            raise FileNotFoundError(errno.ENOENT, "a link leads away")
        return path


def _are_visible(names: Sequence[str]) -> bool:
    """Tell whether names may be given to clients; that hides ``..``, too."""
    return not any(
        not name or name.startswith(".") or "/" in name or _CONTROL_CHARACTER.search(name)
        for name in names
    )


def _opened(path: str) -> FileIO:
    # Links have been followed by now, and a pipe must not be waited for.
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    return FileIO(path, opener=lambda name, mode: os.open(name, mode | flags))


def _status(path: str) -> os.stat_result:
    try:
        with _opened(path) as file:
            status = os.fstat(file.fileno())
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno not in _NOT_THERE:
            raise
        raise FileNotFoundError(errno.ENOENT, "no file") from error
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "a file of another kind")
    return status


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
