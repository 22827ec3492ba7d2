"""Files for browsers: which are served, at which URL, and with which headers."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import MakeCluster
from toto_testkit.http import Response
from toto_testkit.processes import command_path, run_to_end
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

PAGE = b"<title>A page</title>\n"
DIGITS = b"0123456789"
SECRET = b"for nobody"
HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def write_site(folder: Path) -> Path:
    """Write a folder with everything that may be asked for, and beside it what may not."""
    site = folder / "site"
    files = {
        "index.html": b"home",
        "page.html": PAGE,
        "digits.bin": DIGITS,
        "empty.txt": b"",
        "a name \u00e9.txt": b"odd name",
        "docs/index.html": b"docs",
        "bare/page.html": PAGE,
        ".secret": SECRET,
        ".git/config": SECRET,
        "docs/.draft/page.html": SECRET,
        "livez": SECRET,
        "api/echo": SECRET,
    }
    for name, body in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(body)
    (folder / "outside.txt").write_bytes(SECRET)
    (folder / "site-2").mkdir()
    (folder / "site-2" / "outside.txt").write_bytes(SECRET)
    (site / "same.html").symlink_to("page.html")
    (site / "out.txt").symlink_to(folder / "outside.txt")
    (site / "neighbour").symlink_to(folder / "site-2")
    (site / "open.txt").symlink_to(".secret")
    (site / "loop").symlink_to("loop")
    os.mkfifo(site / "pipe")
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is served."""
    return write_site(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def files(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Files at /, methods below /api."""
    options = {
        "root": "/api",
        "static_path": str(site),
        "static_url": "/",
        "access_log": True,
        "trusted_proxies": ["127.0.0.1"],
    }
    with Cluster(tmp_path_factory.mktemp("at-root"), workers=1, options=options) as started:
        yield started


@pytest.fixture(scope="module")
def prefixed(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Files below /static, which is the default, and methods at /."""
    options = {"static_path": str(site)}
    with Cluster(tmp_path_factory.mktemp("prefixed"), workers=1, options=options) as started:
        yield started


def assert_refused(response: Response, status: int = 404) -> None:
    """Check for an error page that tells nothing but its status."""
    assert response.status == status, response
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(rb"%d [A-Z][A-Za-z ]+\n" % status, response.body), response
    assert response.headers["x-content-type-options"] == "nosniff"


# -- what is served


def test_a_file_is_served_with_what_a_browser_needs(files: Cluster) -> None:
    """Type, length, version and rules for caches are there; the server's version is not."""
    response = files.get("/page.html", {"x-request-id": "my-page"})

    assert (response.status, response.body) == (200, PAGE)
    headers = response.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-length"] == str(len(PAGE))
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"] == "my-page"
    assert headers["accept-ranges"] == "bytes"
    assert re.fullmatch(rf'"[0-9a-f]+-{len(PAGE):x}"', headers["etag"])
    assert HTTP_DATE.fullmatch(headers["last-modified"])
    assert "server" not in headers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("A.JS", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.json", "application/json"),
        ("a.wasm", "application/wasm"),
        ("a.png", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("a.unheard-of", "application/octet-stream"),
        ("plain", "application/octet-stream"),
    ],
)
def test_the_type_follows_the_name(
    files: Cluster, site: Path, name: str, content_type: str
) -> None:
    """It does not depend on what the host believes about file names."""
    shutil.copy(site / "digits.bin", site / name)

    assert files.get(f"/{name}").headers["content-type"] == content_type


def test_head_has_the_headers_alone(files: Cluster) -> None:
    """HEAD answers as GET does, without the file."""
    whole, head = files.get("/page.html"), files.send("HEAD", "/page.html")

    assert head.status == 200
    assert head.body == b""
    for name in ("content-type", "content-length", "etag", "last-modified"):
        assert head.headers[name] == whole.headers[name]


def test_names_may_need_escapes(files: Cluster) -> None:
    """A name is UTF-8 with percent signs."""
    assert files.get("/a%20name%20%C3%A9.txt").body == b"odd name"


def test_an_empty_file_is_a_file(files: Cluster) -> None:
    """It has a length, which is 0."""
    response = files.get("/empty.txt")

    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == "0"


def test_a_folder_is_its_index(files: Cluster, prefixed: Cluster) -> None:
    """The URL of a folder ends with a slash."""
    assert files.get("/").body == b"home"
    assert files.get("/docs/").body == b"docs"
    assert prefixed.get("/static/").body == b"home"
    assert prefixed.get("/static/docs/").body == b"docs"


@pytest.mark.parametrize("target", ["/static", "/static/docs"])
def test_a_folder_without_its_slash_is_redirected(prefixed: Cluster, target: str) -> None:
    """The new address keeps prefix and query."""
    response = prefixed.get(f"{target}?a=1&b=%2F")

    assert response.status == 301
    assert response.headers["location"] == f"{target}/?a=1&b=%2F"
    assert response.headers["cache-control"] == "no-cache"


def test_a_link_inside_of_the_folder_is_followed(files: Cluster) -> None:
    """What it leads to is served under its name."""
    assert files.get("/same.html").body == PAGE


def test_the_folder_may_be_a_link_that_is_set_anew(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    """A new version of a site goes into service by one step, as deployments do it."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "index.html").write_text(version)
    current, following = tmp_path / "current", tmp_path / "next"
    current.symlink_to("one")
    cluster = make_cluster(workers=1, root="/api", static_path=str(current), static_url="/")
    before = cluster.get("/").body

    following.symlink_to("two")
    following.rename(current)

    assert (before, cluster.get("/").body) == (b"one", b"two")


# -- what is not


@pytest.mark.parametrize(
    "target",
    [
        "/nothing.html",
        "/page.html/",
        "/page.html/more",
        "/bare",
        "/bare/",
        "/.secret",
        "/%2Esecret",
        "/.git/config",
        "/docs/.draft/page.html",
        "/../outside.txt",
        "/..%2Foutside.txt",
        "/%2e%2e/outside.txt",
        "/docs/../page.html",
        "/../site-2/outside.txt",
        "//page.html",
        "//docs",
        "/docs//index.html",
        "/page.html%00",
        "/page.html%0a",
        "/out.txt",
        "/neighbour/outside.txt",
        "/open.txt",
        "/loop",
        "/pipe",
        "/" + "n" * 300,
        "/" + "deep/" * 100,
    ],
)
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_what_is_not_there_or_not_for_everybody(files: Cluster, verb: str, target: str) -> None:
    """Missing, hidden, outside, no file at all: one cannot be told from the other."""
    response = files.send(verb, target, {"x-request-id": "mine"})

    if verb == "GET":
        assert_refused(response)
    assert response.status == 404
    assert response.headers["x-request-id"] == "mine"
    assert "server" not in response.headers


def test_a_name_that_is_no_text_is_refused(files: Cluster) -> None:
    """The bytes of a name are UTF-8."""
    assert_refused(files.get("/%ff.html"), 400)


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_files_can_be_read_only(files: Cluster, verb: str) -> None:
    """Other verbs are told which ones there are."""
    headers = {"Content-Type": "application/json"}

    response = files.send(verb, "/page.html", headers, b'{"method": "echo"}')

    assert_refused(response, 405)
    assert response.headers["allow"] == "GET, HEAD"


# -- files beside methods


def test_methods_go_before_files(files: Cluster) -> None:
    """With files at /, what lies below the prefix of the methods is a call."""
    assert files.get("/api/echo?a=1").result == {"a": "1"}
    assert files.get("/api/echo.html").error["code"] == 1001
    assert files.post({"method": "echo", "parameters": 1}, "/api").result == 1


def test_a_longer_prefix_of_files_goes_before_methods(prefixed: Cluster) -> None:
    """With methods at /, what lies below the prefix of the files is a file."""
    assert prefixed.get("/echo?a=1").result == {"a": "1"}
    assert prefixed.get("/static/page.html").body == PAGE
    assert_refused(prefixed.get("/static/echo"))
    assert prefixed.get("/staticecho").error["code"] == 1001


def test_probes_go_before_files(files: Cluster) -> None:
    """A file cannot take the place of a probe."""
    assert files.get("/livez").body == b"ok\n"
    assert files.get("/readyz").body == b"ok\n"


def test_preflights_are_answered_as_everywhere(files: Cluster) -> None:
    """OPTIONS has the verbs of calls, whatever the URL."""
    assert files.send("OPTIONS", "/page.html").status == 204


def test_files_and_calls_share_a_connection(files: Cluster) -> None:
    """Requests sent ahead are answered in their order."""
    targets = ["/page.html", "/api/echo?a=1", "/nothing", "/livez", "/docs", "/docs/"]

    with files.connect() as connection:
        for target in targets:
            connection.request("GET", target)
        answers = [connection.read_response("GET") for _ in targets]

    assert [answer.status for answer in answers] == [200, 200, 404, 200, 301, 200]
    assert (answers[0].body, answers[-1].body) == (PAGE, b"docs")


def test_requests_are_in_the_access_log(files: Cluster) -> None:
    """A line has verb, path without query, status, time and the client behind the proxy."""
    files.get("/docs/?log=me", {"X-Forwarded-For": "192.0.2.7"})
    files.get("/docs/lost")

    lines = (
        r"GET /docs/ 200 \d+\.\d ms 192\.0\.2\.7 ",
        r"GET /docs/lost 404 \d+\.\d ms 127\.0\.0\.1 ",
    )
    # A line is written when its answer has left.
    poll_until(lambda: all(re.search(line, files.output()) for line in lines))


# -- options


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--static-path", "nowhere"], "static_path must be an existing folder, not 'nowhere'"),
        (["--static-path", ".", "--static-url", "/"], "static_url and root are both '/'"),
        (["--static-path", ".", "--static-url", "/a b"], "static_url must be a URL path"),
    ],
)
def test_options_that_cannot_work_are_refused(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    """The command says so before it serves anything."""
    command = [command_path("toto-gateway"), *arguments, "--check-config"]

    ended = run_to_end(command, directory=tmp_path)

    assert ended.returncode == 2
    assert complaint in ended.stderr
