"""The command ``toto-publish``: its words, sentences and exit codes; the gateway is a fake."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq

import toto
from toto._core.publish_command import run
from toto._wire.messages import Announce
from toto_testkit.fake_gateway import FakeGateway, ServerKeys, confirm
from toto_testkit.ports import free_port
from toto_testkit.processes import clean_environment, command_path

pytestmark = pytest.mark.usefixtures("no_leaks")

COMMAND = command_path("toto-publish")
NOWHERE = "ipc:///nowhere/gateway.sock"
KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


def run_with_input(text: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process until it ends."""
    return subprocess.run(
        [COMMAND, *arguments],
        input=text,
        capture_output=True,
        env=clean_environment(),
        timeout=20,
        check=False,
    )


def refusal(arguments: Sequence[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence with which the command ends."""
    assert run(arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("toto-publish: error: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("toto-publish: error: ").rstrip("\n")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It tells its options and its version."""
    assert run(["--help"]) == run(["-h"]) == 0
    told = capsys.readouterr().out
    assert run(["--version"]) == 0

    assert "toto-publish [OPTIONS] ADDRESS NAME [ARGS_JSON]" in told
    assert "--secret-key-file" in told
    assert capsys.readouterr().out == f"toto-publish {toto.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "args", "is_broadcast"),
    [
        ([], None, True),
        (['{"text": ["\u00e4", 1.5, null]}'], {"text": ["\u00e4", 1.5, None]}, True),
        (["--one", "17"], 17, False),
        (["--", "-5"], -5, True),
    ],
)
def test_an_event_is_sent(
    capsys: pytest.CaptureFixture[str], arguments: list[str], args: Any, is_broadcast: bool
) -> None:
    """The command says nothing when all is well."""
    with FakeGateway() as gateway:
        code = run([gateway.endpoint, "news", *arguments])

        assert gateway.announced == [("news", args, is_broadcast)]
    assert code == 0
    assert capsys.readouterr() == ("", "")


def test_the_process_ends_as_it_should() -> None:
    """With the code, and nothing but the sentence on the standard error."""
    with FakeGateway() as gateway:
        sent = run_with_input(b"", gateway.endpoint, "news", "1")
    refused = run_with_input(b"", "nowhere", "news")

    assert (sent.returncode, sent.stdout, sent.stderr) == (0, b"", b"")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr == (
        b"toto-publish: error: the address is 'nowhere', but must begin with ipc:// or tcp://\n"
    )


def test_every_line_of_the_input_is_an_event() -> None:
    """Over one connection, in their order; empty lines are none."""
    numbers: list[int] = []

    def note(message: Announce) -> list[bytes]:
        numbers.append(message.number)
        return confirm(message)

    with FakeGateway(answer=note) as gateway:
        ended = run_with_input(
            b'{"n": 1}\n\n  \r\n"two"\nnull', gateway.endpoint, "news", "--stdin"
        )

        assert gateway.announced == [
            ("news", {"n": 1}, True),
            ("news", "two", True),
            ("news", None, True),
        ]
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert numbers == [1, 2, 3]


def test_lines_are_sent_as_they_come() -> None:
    """The command need not see the end of its input."""
    with FakeGateway() as gateway:
        arguments = [COMMAND, gateway.endpoint, "news", "--stdin", "--one"]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, env=clean_environment()) as process:
            assert process.stdin is not None
            process.stdin.write(b'"first"\n')
            process.stdin.flush()
            gateway.wait_for(1)
            process.stdin.write(b'"second"\n')
            process.stdin.close()
            assert process.wait(10) == 0

        assert gateway.announced == [("news", "first", False), ("news", "second", False)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'1\n\n{"a": tru}\n4', "line 3 of the input: the text is not valid JSON: "),
        (b'1\n{"a":', "line 2 of the input: the text is not valid JSON: "),
        (b'1\n{"a": 1, "a": 2}\n', "line 2 of the input: an object has the same key twice"),
        (b"1\n\xff\n", "line 2 of the input: the text is not valid JSON: "),
        (b"1\n" + b"[" * 200 + b"]" * 200, "line 2 of the input: the text is nested deeper than"),
        (b'1\n"' + b"x" * 524_284 + b'"\n', "line 2 of the input: the arguments of an event may"),
        (b"1\n" + b" " * 4_194_305, "line 2 of the input: over 4194304 bytes long"),
    ],
)
def test_a_line_that_cannot_be_sent_ends_the_command(text: bytes, told: str) -> None:
    """With its number; those before it have been sent."""
    with FakeGateway() as gateway:
        ended = run_with_input(text, gateway.endpoint, "news", "--stdin")

        assert gateway.announced == [("news", 1, True)]
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"toto-publish: error: " + told.encode())
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing argument 'ADDRESS'."),
        ([NOWHERE], "Missing argument 'NAME'."),
        ([NOWHERE, "n", "1", "2"], "Got unexpected extra argument (2)"),
        ([NOWHERE, "n", "-5"], "No such option '-5'."),
        (["", "n"], "there must be an address at least"),
        (["tcp://10.0.0.1:5", "n"], "the address is 'tcp://10.0.0.1:5', which would be reached"),
        ([NOWHERE, ""], "the name of an event must have 1 to 128 characters, not 0"),
        ([NOWHERE, "n", '{"a": tru}'], "ARGS_JSON: the text is not valid JSON: "),
        ([NOWHERE, "n", "[1, 18446744073709551616]"], "ARGS_JSON: an integer does not fit"),
        ([NOWHERE, "n", "NaN"], "ARGS_JSON: the text is not valid JSON: "),
        ([NOWHERE, "n", ""], "ARGS_JSON: the text is not valid JSON: "),
        ([NOWHERE, "n", "1", "--stdin"], "ARGS_JSON and --stdin cannot be used together"),
        ([NOWHERE, "n", "--timeout", "soon"], "option --timeout is 'soon', but must be a duration"),
        ([NOWHERE, "n", "--timeout", "0s"], "option --timeout is '0s', but must be a duration"),
        ([NOWHERE, "n", "--public-key", KEY], "the keys of this program need --server-key, too"),
        ([NOWHERE, "n", "--secret-key-file", "f"], "the keys of this program need --server-key"),
        ([NOWHERE, "n", "--server-key", KEY], "--server-key needs --secret-key-file or TOTO_"),
        (
            [NOWHERE, "n", "--server-key", KEY, "--secret-key-file", "/nowhere/key"],
            "cannot read '/nowhere/key': No such file or directory",
        ),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    """One sentence, and code 2, before anything is dialled."""
    assert refusal(arguments, 2, capsys).startswith(told)


def test_bad_json_is_told_with_its_position(capsys: pytest.CaptureFixture[str]) -> None:
    """The character where it went wrong, counted from 0."""
    assert refusal([NOWHERE, "n", '{"a": tru}'], 2, capsys).endswith("(character 6)")


def test_no_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    """Code 5, within the time."""
    address = f"{NOWHERE},tcp://127.0.0.1:{free_port()}"

    told = refusal([address, "n", "--timeout", "200ms"], 5, capsys)

    first, second = address.split(",")
    assert told == (
        f"no gateway could be reached (timeout 0.2 s): {first}: there is no such socket; "
        f"{second}: nobody answers there"
    )


def test_a_lost_receipt() -> None:
    """It says that the event may have been delivered, and which line of the input it was."""

    def confirm_first(message: Announce) -> list[bytes] | None:
        return confirm(message) if message.number == 1 else None

    with FakeGateway(answer=confirm_first) as gateway:
        ended = run_with_input(b"1\n\n2\n3\n", gateway.endpoint, "n", "--stdin", "--timeout", "10s")

        assert [args for _, args, _ in gateway.announced] == [1, 2]
    assert ended.returncode == 5
    assert ended.stderr.decode() == (
        f"toto-publish: error: line 3 of the input: the gateway at {gateway.endpoint} was lost "
        "before it had confirmed the event, which may have been delivered\n"
    )


@pytest.mark.parametrize("tells_public_key", [True, False])
@pytest.mark.parametrize("source", ["file", "environment"])
def test_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, tells_public_key: bool
) -> None:
    """The secret one from a file or the environment, never from the command line."""
    server_key, server_secret = zmq.curve_keypair()
    public_key, secret_key = zmq.curve_keypair()
    path = tmp_path / "key"
    path.write_bytes(secret_key + b"\n")
    arguments = ["--server-key", server_key.decode()]
    if tells_public_key:
        arguments += ["--public-key", public_key.decode()]
    if source == "file":
        arguments += ["--secret-key-file", str(path)]
    else:
        monkeypatch.setenv("TOTO_PUBLISH_SECRET_KEY", secret_key.decode())

    with FakeGateway(keys=ServerKeys(server_key, server_secret, public_key)) as gateway:
        assert run([gateway.endpoint, "news", "1", *arguments]) == 0

        assert gateway.announced == [("news", 1, True)]


def test_a_malformed_secret_key_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file may be the wrong one."""
    path = tmp_path / "key"
    path.write_text("hunter2")
    arguments = [NOWHERE, "n", "--server-key", KEY, "--secret-key-file", str(path)]

    told = refusal(arguments, 2, capsys)

    assert told == "secret_key must be a key of 40 characters of Z85"
