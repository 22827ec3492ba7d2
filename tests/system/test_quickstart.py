"""The example application does what its first lines promise."""

import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.formats import JSON, Upload, json_lines, multipart
from toto_testkit.http import Response, fetch
from toto_testkit.ports import free_port
from toto_testkit.processes import REPOSITORY, Command, command_path

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

CONF = "examples/quickstart/gw.conf"
TEXT = b"the cat and the hat"
COUNTED = {"words": 5, "distinct": 4, "top": [["the", 2], ["cat", 1], ["and", 1], ["hat", 1]]}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The quickstart, started from the root of the repository as its users do."""
    port = free_port()
    command = Command(
        [command_path("toto-gateway"), "--conf", CONF, "--port", str(port)],
        output_path=tmp_path_factory.mktemp("quickstart") / "output.log",
        directory=REPOSITORY,
    )
    with command:
        command.wait_ready(f"http://127.0.0.1:{port}/readyz")
        yield f"http://127.0.0.1:{port}"


def call(url: str, method: str, parameters: Any) -> Response:
    body = JSON.dumps({"method": method, "parameters": parameters})
    return fetch(url, "POST", body, {"Content-Type": JSON.content_type})


def tries() -> list[str]:
    """Return the commands at the top of the conf file."""
    lines = (REPOSITORY / CONF).read_text().splitlines()
    return [line.removeprefix("# try: ") for line in lines if line.startswith("# try: ")]


@pytest.mark.parametrize("command", tries())
def test_every_line_to_try_works(url: str, tmp_path: Path, command: str) -> None:
    """A line of the conf file, pasted into a shell, is answered."""
    shell, curl = shutil.which("sh"), shutil.which("curl")
    if not shell or not curl:
        pytest.skip("there is no curl here")
    shutil.copy(REPOSITORY / "LICENSE", tmp_path)
    here = command.replace("localhost:8888", url.removeprefix("http://"))
    here = here.replace("/tmp/mandelbrot.png", str(tmp_path / "mandelbrot.png"))  # noqa: S108  # replaced

    ended = subprocess.run(
        [shell, "-c", f"{here} --silent --show-error --fail"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout or (tmp_path / "mandelbrot.png").exists()
    assert "Internal server error" not in ended.stdout


def test_echo_and_return_value(url: str) -> None:
    """The two simplest methods answer what they were given."""
    assert call(url, "echo", {"a": [1]}).json() == {"result": {"a": [1]}}
    assert call(url, "return_value", {"a": 1}).json() == {"result": {"parameters": {"a": 1}}}


def test_count_words_reads_every_kind_of_request(url: str) -> None:
    """JSON, a query, a form and a posted file give the same numbers."""
    target = f"{url}/text/count_words"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    headers, body = multipart([], [Upload("file", "cat.txt", "text/plain", TEXT)])

    answers = [
        call(url, "text.count_words", {"text": TEXT.decode()}),
        fetch(f"{target}?text=the+cat+and+the+hat"),
        fetch(f"{target}?text=the+cat&text=and+the+hat"),
        fetch(target, "POST", b"text=the+cat+and+the+hat", form),
        fetch(target, "POST", body, headers),
    ]

    assert [answer.result for answer in answers] == [COUNTED] * 5


@pytest.mark.parametrize(
    ("method", "parameters", "code", "value"),
    [
        ("text.count_words", {}, 1003, "Missing parameters: text"),
        ("text.count_words", {"text": 5}, 2001, "text must be a text"),
        ("primes.stream", {}, 1003, "Missing parameters: limit"),
        ("primes.stream", {"limit": "ten"}, 2001, "limit must be a number"),
        ("primes.stream", {"limit": 1}, 2001, "limit must be between 2 and 1000000"),
        ("images.mandelbrot", {"width": 0}, 2001, "width must be between 1 and 1024"),
        ("sleep", {"seconds": 31}, 2001, "seconds must be between 0 and 30"),
        ("wait", {}, 1003, "Missing parameters: seconds"),
        ("fail", {"code": 4242, "value": "why"}, 4242, "why"),
    ],
)
def test_bad_parameters_are_explained(
    url: str, method: str, parameters: Any, code: int, value: str
) -> None:
    """Every method says what is wrong with what it was given."""
    assert call(url, method, parameters).json() == {"error": {"code": code, "value": value}}


def test_primes_are_streamed(url: str) -> None:
    """One line for each prime, then the end."""
    response = fetch(f"{url}/primes/stream?limit=12")

    assert json_lines(response.body) == [
        {"result": 2},
        {"result": 3},
        {"result": 5},
        {"result": 7},
        {"result": 11},
        {"end": True},
    ]


def test_mandelbrot_is_a_png(url: str) -> None:
    """The picture has the size asked for, and its chunks are sound."""
    response = fetch(f"{url}/images/mandelbrot?width=32&height=24")

    assert response.content_type == "image/png"
    assert response.body.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    assert struct.unpack(">II", response.body[16:24]) == (32, 24)
    pixels_at = response.body.index(b"IDAT") + 4
    pixels = zlib.decompressobj().decompress(response.body[pixels_at:])
    assert len(pixels) == 24 * (32 + 1)


def test_sleep_and_wait(url: str) -> None:
    """Both take numbers and the texts of a query."""
    assert call(url, "sleep", {"seconds": 0.01}).result == {"slept": 0.01}
    assert fetch(f"{url}/wait?seconds=0.01").result == {"waited": 0.01}


def test_fail_without_a_code_is_an_internal_error(url: str) -> None:
    """The text of an unexpected error stays with the server."""
    response = call(url, "fail", {})

    assert response.error["code"] == 1000
    assert "the client never sees" not in json.dumps(response.json())
