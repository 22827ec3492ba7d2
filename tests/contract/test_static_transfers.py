"""How files get to their clients: in parts, only when they have changed, at the client's pace."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.http import RawConnection, request_bytes
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

DIGITS = b"0123456789"
MIB = 2**20
LARGE_BYTES = 64 * MIB
HUGE_BYTES = 256 * MIB
SLOW_BUFFER_BYTES = 16 * 1024


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is served; its large files are holes and take no room."""
    folder = tmp_path_factory.mktemp("transfers")
    (folder / "digits.bin").write_bytes(DIGITS)
    for name, size in (("large.bin", LARGE_BYTES), ("huge.bin", HUGE_BYTES)):
        (folder / name).touch()
        os.truncate(folder / name, size)
    return folder


@pytest.fixture(scope="module")
def files(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A gateway that serves the folder at /."""
    options = {"root": "/api", "static_path": str(site), "static_url": "/"}
    with Cluster(tmp_path_factory.mktemp("gateway"), workers=1, options=options) as started:
        yield started


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has in use."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def begin(connection: RawConnection, target: str) -> int:
    """Ask for a file as the last thing and return its length, once the head has come."""
    connection.request("GET", target, {"Connection": "close"})
    head = connection.read_head()
    assert head.status == 200
    return int(head.headers["content-length"])


def download_bytes(port: int, target: str) -> int:
    """Throw away a whole answer faster than it can come, and return its length, head included."""
    received, buffer = 0, bytearray(MIB)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request_bytes("GET", target, {"Connection": "close"}))
        while size := connection.recv_into(buffer, MIB, socket.MSG_TRUNC):
            received += size
    return received


# -- only when it has changed


def test_a_file_that_is_known_is_not_sent_again(files: Cluster) -> None:
    """Both the tag and the time of the last answer are enough."""
    known = files.get("/digits.bin").headers

    by_tag = files.get("/digits.bin", {"If-None-Match": known["etag"]})
    by_time = files.get("/digits.bin", {"If-Modified-Since": known["last-modified"]})

    for answer in (by_tag, by_time):
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == known["etag"]
        assert answer.headers["cache-control"] == "no-cache"


def test_a_file_that_has_changed_is_sent_again(files: Cluster, site: Path) -> None:
    """The tag follows a change at once, even one within the second and of the same length."""
    path = site / "changing.txt"
    path.write_text("one")
    os.utime(path, ns=(10**18, 10**18))
    first = files.get("/changing.txt")

    path.write_text("two")
    os.utime(path, ns=(10**18, 10**18 + 1))
    second = files.get("/changing.txt", {"If-None-Match": first.headers["etag"]})

    assert (first.body, second.status, second.body) == (b"one", 200, b"two")


def test_no_file_is_cached_for_years(files: Cluster) -> None:
    """A version in the query, for which Tornado promises ten years, promises nothing."""
    response = files.get("/digits.bin?v=1")

    assert response.headers["cache-control"] == "no-cache"
    assert "expires" not in response.headers


# -- in parts


@pytest.mark.parametrize(
    ("wanted", "part", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
def test_a_range_is_sent_alone(files: Cluster, wanted: str, part: bytes, told: str) -> None:
    """The answer tells which part of the whole it is."""
    response = files.get("/digits.bin", {"Range": wanted})

    assert (response.status, response.body) == (206, part)
    assert response.headers["content-range"] == told


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(files: Cluster, wanted: str) -> None:
    """The answer tells how long the file is."""
    response = files.get("/digits.bin", {"Range": wanted})

    assert response.status == 416
    assert response.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes=0-9"])
def test_other_ranges_get_the_whole_file(files: Cluster, wanted: str) -> None:
    """Several ranges, other units and nonsense are passed over, as RFC 9110 allows."""
    response = files.get("/digits.bin", {"Range": wanted})

    assert (response.status, response.body) == (200, DIGITS)


def test_a_download_goes_on_only_with_the_same_file(files: Cluster) -> None:
    """Whoever has the first half of another version gets all of this one (``If-Range``)."""
    known = files.get("/digits.bin").headers
    rest = {"Range": "bytes=5-"}

    answers = [
        files.get("/digits.bin", {**rest, "If-Range": known["etag"]}),
        files.get("/digits.bin", {**rest, "If-Range": known["last-modified"]}),
        files.get("/digits.bin", {**rest, "If-Range": '"another"'}),
        files.get("/digits.bin", {**rest, "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    ]

    assert [answer.body for answer in answers] == [b"56789", b"56789", DIGITS, DIGITS]


def test_an_old_client_gets_the_file_and_the_end(files: Cluster) -> None:
    """HTTP/1.0 knows no kept connections: the file ends with its own."""
    with files.connect() as connection:
        connection.send(b"GET /digits.bin HTTP/1.0\r\n\r\n")
        answer = connection.read_to_end()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == DIGITS


# -- at the client's pace


def test_a_slow_reader_costs_no_memory(files: Cluster) -> None:
    """Of a file that nobody takes only a part is read, and calls go on."""
    (gateway,) = files.gateway_pids()
    before = resident_bytes(gateway)

    with files.connect(receive_buffer_bytes=SLOW_BUFFER_BYTES) as slow:
        begin(slow, "/large.bin")
        assert files.get("/api/echo?a=1").result == {"a": "1"}
        grown = resident_bytes(gateway) - before
        body = slow.read_to_end()

    assert grown < 8 * MIB
    assert len(body) == LARGE_BYTES


def test_a_fast_reader_does_not_keep_others_waiting(
    files: Cluster, in_background: InBackground
) -> None:
    """Between two parts of a large file others have their turn."""
    downloaded = in_background(download_bytes, files.port, "/huge.bin")
    answered = 0
    while not downloaded.done():
        files.get("/livez")
        answered += 1

    assert downloaded.result() > HUGE_BYTES
    assert answered > 200  # 10 when a client that is fast enough keeps the loop


def test_a_client_that_leaves_is_forgotten(files: Cluster) -> None:
    """Its file is not read on, no descriptor stays open, and nothing is logged as an error."""
    (gateway,) = files.gateway_pids()
    descriptors = Path(f"/proc/{gateway}/fd")
    before = len(list(descriptors.iterdir()))

    for _ in range(20):
        connection = files.connect(receive_buffer_bytes=SLOW_BUFFER_BYTES)
        begin(connection, "/large.bin")
        connection.reset()

    poll_until(lambda: len(list(descriptors.iterdir())) <= before, message="all is closed")
    assert "ERROR" not in files.output()
    assert "Traceback" not in files.output()


def test_what_a_client_asked_for_before_it_left_is_not_looked_for(
    make_cluster: MakeCluster, site: Path
) -> None:
    """Requests that are still in the buffer are dropped; they would only keep others waiting."""
    cluster = make_cluster(
        workers=1, root="/api", static_path=str(site), static_url="/", access_log=True
    )

    connection = cluster.connect(receive_buffer_bytes=SLOW_BUFFER_BYTES)
    connection.send(
        request_bytes("GET", "/large.bin", {}) + 200 * request_bytes("GET", "/digits.bin", {})
    )
    assert connection.read_head().status == 200
    connection.reset()
    cluster.get("/digits.bin", {"x-request-id": "the-last"})
    poll_until(lambda: "the-last" in cluster.output(), message="the log is written")

    assert cluster.output().count("GET /digits.bin") == 1


@pytest.mark.parametrize("change", ["replaced", "shortened", "removed"])
def test_a_file_that_changes_while_it_is_sent_is_cut(
    files: Cluster, site: Path, change: str
) -> None:
    """A body is of one version of the file, or it is too short for its length."""
    path, other = site / "moving.bin", site / "other.bin"
    for file in (path, other):
        file.touch()
        os.truncate(file, LARGE_BYTES)

    with files.connect(receive_buffer_bytes=SLOW_BUFFER_BYTES) as slow:
        size = begin(slow, "/moving.bin")
        if change == "replaced":
            other.rename(path)
        elif change == "shortened":
            os.truncate(path, size // 2)
        else:
            path.unlink()
        body = slow.read_to_end()

    assert len(body) < size
    poll_until(lambda: "/moving.bin changed while it was sent: cut off" in files.output())
    assert "Traceback" not in files.output()


# -- while the gateway stops


def test_files_are_served_until_the_gateway_has_stopped(
    make_cluster: MakeCluster, site: Path
) -> None:
    """A file under way is finished, and connections that are left get the rest of a page."""
    cluster = make_cluster(workers=1, root="/api", static_path=str(site), static_url="/")

    with cluster.connect(receive_buffer_bytes=SLOW_BUFFER_BYTES) as slow, cluster.connect() as kept:
        begin(slow, "/large.bin")
        kept.request("GET", "/digits.bin")
        assert "connection" not in kept.read_response("GET").headers
        cluster.command.send_signal(signal.SIGTERM)
        poll_until(lambda: "stopping with 1 requests under way" in cluster.output())
        kept.request("GET", "/digits.bin")
        late = kept.read_response("GET")
        body = slow.read_to_end()

    assert (late.status, late.body, late.headers["connection"]) == (200, DIGITS, "close")
    assert len(body) == LARGE_BYTES
    assert cluster.command.wait() == 0


def test_a_file_nobody_takes_does_not_keep_the_gateway(
    make_cluster: MakeCluster, site: Path
) -> None:
    """After ``graceful_timeout`` the rest of a file is given up, without an error in the log."""
    cluster = make_cluster(
        workers=1, root="/api", static_path=str(site), static_url="/", graceful_timeout=0.2
    )

    with cluster.connect(receive_buffer_bytes=SLOW_BUFFER_BYTES) as slow:
        begin(slow, "/large.bin")
        cluster.command.send_signal(signal.SIGTERM)
        code = cluster.command.wait()

    assert code == 0
    assert "1 requests cut off" in cluster.output()
    assert "ERROR" not in cluster.output()
    assert "Traceback" not in cluster.output()
