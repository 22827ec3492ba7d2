"""A child's ties to its supervisor, and how its end is told."""

import os
import signal

import pytest

from toto._core.child import ChildContext, follow_parent
from toto._core.child_process import describe_exit
from toto._core.signal_pipe import SignalPipe


def test_readiness_is_one_byte() -> None:
    """Saying it again does nothing; then the pipe ends."""
    ready_read_fd, ready_write_fd = os.pipe()
    child = ChildContext(ready_fd=ready_write_fd, parent_pipe=-1)

    child.ready()
    child.ready()

    with open(ready_read_fd, "rb") as pipe:
        assert len(pipe.read()) == 1


def test_readiness_without_a_supervisor_is_no_error() -> None:
    """A child that outlives its supervisor learns it from the parent pipe, not from here."""
    ready_read_fd, ready_write_fd = os.pipe()
    os.close(ready_read_fd)

    ChildContext(ready_fd=ready_write_fd, parent_pipe=-1).ready()


def test_closed_child_says_nothing() -> None:
    """Both descriptors are closed, once."""
    ready_read_fd, ready_write_fd = os.pipe()
    parent_read_fd, parent_write_fd = os.pipe()
    child = ChildContext(ready_fd=ready_write_fd, parent_pipe=parent_read_fd)

    child.close()
    child.close()
    child.ready()

    with open(ready_read_fd, "rb") as pipe:
        assert pipe.read() == b""
    with pytest.raises(BrokenPipeError):
        os.write(parent_write_fd, b"x")
    os.close(parent_write_fd)


def test_command_started_by_hand_has_no_parent() -> None:
    """Without the two variables there is nobody to follow."""
    environment = {"HOME": "/"}

    assert follow_parent(environment) is None
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("exit_status", "text"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "SIGKILL"), (-40, "signal 40")],
)
def test_exit_is_described(exit_status: int, text: str) -> None:
    """Signals by name where they have one."""
    assert describe_exit(exit_status) == text


def test_signals_arrive_in_order_and_handlers_come_back() -> None:
    """Only the signals asked for are told, though others have handlers too."""
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    handler = signal.getsignal(signal.SIGHUP)
    pipe = SignalPipe([signal.SIGHUP, signal.SIGUSR1])
    pipe.open()
    try:
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1):
            os.kill(os.getpid(), number)

        assert pipe.read() == [signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR1]
        assert pipe.read() == []
    finally:
        pipe.close()
        pipe.close()
        signal.signal(signal.SIGUSR2, before)
    assert signal.getsignal(signal.SIGHUP) is handler
