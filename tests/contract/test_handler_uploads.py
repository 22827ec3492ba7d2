"""Uploaded bytes reach the method unharmed, and cost no more memory than they must (section 2)."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import MakeCluster
from toto_testkit.formats import MSGPACK, Upload, multipart
from toto_testkit.http import Response
from toto_testkit.speaking import speaking_options

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

BOUNDARY = "bOuNdArY"
UPLOAD_BYTES = 10 * 1024 * 1024
MEMORY_FACTOR_MAX = 6
BODIES = {
    "every-byte": bytes(range(256)) * 4,
    "empty": b"",
    "line-end": b"\r\n",
    "line-ends": b"\r\n\r\n\r\n",
    "begins-with-line-end": b"\r\nx",
    "ends-with-line-end": b"x\r\n",
    "ends-with-return": b"x\r",
    "ends-with-newline": b"x\n",
    "hyphens": b"--",
    "hyphens-on-a-line": b"x\r\n--\r\nx",
    "part-of-the-boundary": b"x\r\n--bOuNdAr\r\nx",
    "boundary-without-a-hyphen": b"x\r\n-bOuNdArY\r\nx",
    "boundary-in-other-case": b"x\r\n--boundary\r\nx",
    "boundary-after-newline": b"x\n--bOuNdArY\nx",
    "boundary-in-a-line": b"x--bOuNdArY--x",
    "last-boundary-in-a-line": b"x--bOuNdArY--\r\nx",
    "headers": b"Content-Disposition: form-data; name=evil\r\n\r\nx",
    "zeros": bytes(100_000),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, every format, and a database."""
    directory = tmp_path_factory.mktemp("uploads")
    options = speaking_options(str(directory / "toto.db"))
    with Cluster(directory, options=options) as started:
        yield started


def part(disposition: str, body: bytes, content_type: str | None = "image/png") -> bytes:
    """Return one part with its delimiter."""
    lines = [f"--{BOUNDARY}", f"Content-Disposition: form-data; {disposition}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body + b"\r\n"


def upload(cluster: Cluster, *parts: bytes, boundary: str = BOUNDARY) -> Response:
    """Send parts as they are."""
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return cluster.send("POST", "/contract/files", headers, body)


def described(filename: str, body: bytes, content_type: str = "image/png") -> dict[str, Any]:
    """Return what the method says of a file."""
    return {
        "filename": filename,
        "content_type": content_type,
        "type": "bytes",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "hex": body.hex() if len(body) <= 4096 else None,
    }


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_file_is_unharmed(cluster: Cluster, body: bytes) -> None:
    """Between two other parts, so that both of its ends count."""
    before = part('name="a"', b"1", None)
    after = part('name="z"', b"2", None)

    response = upload(cluster, before, part('name="file"; filename="x.png"', body), after)

    assert response.result == {
        "arguments": {"a": ["1"], "z": ["2"]},
        "files": {"file": [described("x.png", body)]},
    }


def test_several_files_under_a_name_keep_their_order(cluster: Cluster) -> None:
    """Files and fields of one name are lists, each for itself."""
    bodies = [b"one", b"", b"\r\n", bytes(range(256))]
    files = [
        part(f'name="file"; filename="{number}.png"', body) for number, body in enumerate(bodies)
    ]
    fields = [part('name="file"', text, None) for text in (b"x", b"", "ä".encode())]

    response = upload(cluster, *files, *fields, part('name="other"; filename="o"', b"o"))

    assert response.result == {
        "arguments": {"file": ["x", "", "ä"]},
        "files": {
            "file": [described(f"{number}.png", body) for number, body in enumerate(bodies)],
            "other": [described("o", b"o")],
        },
    }


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"; filename="a;b=c.png"', "a;b=c.png"),
        ('name="file"; filename="grüße 漢.png"', "grüße 漢.png"),
        ('name="file"; filename="with \\"quotes\\".png"', 'with "quotes".png'),
        ('filename="first.png"; name="file"', "first.png"),
        ("name=file; filename=bare.png", "bare.png"),
        ("name=\"file\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.png", "grüße.png"),
    ],
)
def test_names_of_files(cluster: Cluster, disposition: str, filename: str) -> None:
    """As browsers and curl write them."""
    response = upload(cluster, part(disposition, b"x"))

    assert response.result["files"] == {"file": [described(filename, b"x")]}


def test_a_quoted_boundary(cluster: Cluster) -> None:
    """Some clients put the boundary into quotes."""
    file = part('name="file"; filename="x"', b"x")

    response = upload(cluster, file, boundary=f'"{BOUNDARY}"')

    assert response.result["files"] == {"file": [described("x", b"x")]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no part at all",
        b"--bOuNdArY\r\nContent-Disposition: form-data; name=a\r\n\r\nnever ends",
        b"--bOuNdArY\r\nno header\r\n\r\nx\r\n--bOuNdArY--\r\n",
        b"--other\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--other--\r\n",
        # A client has to choose a boundary that its parts do not hold.
        part('name="file"; filename="x"', b"x--bOuNdArY\r\nx") + b"--bOuNdArY--\r\n",
    ],
)
def test_what_is_no_multipart_body_is_malformed(cluster: Cluster, body: bytes) -> None:
    """Never half of the parts, and never an error of the server."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    response = cluster.send("POST", "/contract/files", headers, body)

    assert response.status == 400
    assert response.error["code"] == 1100


def test_large_uploads_arrive_and_leave_no_memory_behind(make_cluster: MakeCluster) -> None:
    """Five of 10 MiB in a row: the peak of each process stays within six times one body."""
    cluster = make_cluster(workers=1, max_body_size="16MiB", ready_path="/readyz")
    pids = cluster.gateway_pids() | cluster.worker_pids()
    body = os.urandom(UPLOAD_BYTES)
    headers, form = multipart([("a", "1")], [Upload("file", "x.bin", "image/png", body)])
    assert len(pids) == 2
    peaks_before = {pid: _peak_bytes(pid) for pid in pids}

    digests = set()
    for _ in range(5):
        response = cluster.send("POST", "/contract/files", headers, form)
        digests.add(response.result["files"]["file"][0]["sha256"])

    assert digests == {hashlib.sha256(body).hexdigest()}
    grown = {pid: (_peak_bytes(pid) - peaks_before[pid]) / UPLOAD_BYTES for pid in pids}
    assert max(grown.values()) <= MEMORY_FACTOR_MAX, grown


def test_large_bytes_go_both_ways(make_cluster: MakeCluster) -> None:
    """10 MiB in msgpack, to the method and back, five times within the same memory."""
    cluster = make_cluster(workers=1, max_body_size="16MiB", msgpack_enabled=True)
    pids = cluster.gateway_pids() | cluster.worker_pids()
    body = os.urandom(UPLOAD_BYTES)
    call = {"method": "contract.digest", "parameters": {"body": body}}
    peaks_before = {pid: _peak_bytes(pid) for pid in pids}

    for _ in range(5):
        response = cluster.post(call, body_format=MSGPACK)
        assert MSGPACK.loads(response.body)["result"]["body"] == body

    grown = {pid: (_peak_bytes(pid) - peaks_before[pid]) / UPLOAD_BYTES for pid in pids}
    assert max(grown.values()) <= MEMORY_FACTOR_MAX, grown


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, text = line.partition(":")
        if name == "VmHWM":
            return int(text.split()[0]) * 1024
    raise AssertionError(f"no peak of {pid}")
