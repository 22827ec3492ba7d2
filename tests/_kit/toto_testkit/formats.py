"""Bodies of requests and answers in every format of the contract."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import msgpack


@dataclass(frozen=True)
class Format:
    """A body format as a client uses it, by libraries the product may not share."""

    content_type: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


@dataclass(frozen=True)
class Upload:
    """A file of a multipart body."""

    field: str
    filename: str
    content_type: str
    body: bytes


JSON = Format("application/json", lambda value: json.dumps(value).encode(), json.loads)
MSGPACK = Format("application/msgpack", msgpack.packb, msgpack.unpackb)
BSON = Format("application/bson", bson.encode, bson.decode)


def multipart(
    fields: Sequence[tuple[str, str]], uploads: Sequence[Upload]
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a multipart/form-data request."""
    boundary = secrets.token_hex(12)
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in fields
    ]
    for upload in uploads:
        head = (
            f'Content-Disposition: form-data; name="{upload.field}"; filename="{upload.filename}"'
            f"\r\nContent-Type: {upload.content_type}\r\n\r\n"
        )
        parts.append(head.encode() + upload.body)
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join(delimiter + part + b"\r\n" for part in parts)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return headers, body + f"--{boundary}--\r\n".encode()


def json_lines(body: bytes) -> list[Any]:
    """Decode an NDJSON body."""
    return [json.loads(line) for line in body.splitlines()]


def msgpack_values(body: bytes) -> list[Any]:
    """Decode a body of concatenated msgpack values."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(body)
    return list(unpacker)


def server_sent_events(body: bytes) -> list[dict[str, str]]:
    """Decode an event stream: the fields of every event, comments left out."""
    events = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields: dict[str, str] = {}
        for name, _, text in (line.partition(":") for line in lines):
            value = text.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        if fields:
            events.append(fields)
    return events


def toml_text(options: Mapping[str, Any]) -> str:
    """Write a flat conf file; JSON's scalars and lists are TOML too."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
