"""What a supervisor does while it runs: starts, replaces, tells; with real processes."""

import logging
import os
import signal
from pathlib import Path

import pytest

from toto._core.supervisor import Supervisor
from toto_testkit.supervised import make_spec
from toto_testkit.supervised_tree import supervised_tree
from toto_testkit.waiting import poll_until


def test_killed_child_is_replaced(tmp_path: Path) -> None:
    """A child that was killed comes back with another pid, and the log says why."""
    with supervised_tree(tmp_path, "a:0:serve", "b:0:serve") as tree:
        tree.wait_for("supervisor ready")
        (pid,) = tree.pids("a start")

        os.kill(pid, signal.SIGKILL)

        _, new_pid = tree.wait_for("a start", 2)
        assert new_pid != pid
        assert f"a ended: (pid {pid}) SIGKILL; restarting in 0.1 s" in tree.log
        assert tree.events().count("b start") == 1


def test_hundred_children_that_die_at_once_are_all_replaced(tmp_path: Path) -> None:
    """Signals that merge into one another lose no death."""
    names = [f"child-{index}" for index in range(100)]
    with supervised_tree(tmp_path, *(f"{name}:0:serve" for name in names)) as tree:
        tree.wait_for("supervisor ready")

        for name in names:
            os.kill(tree.pids(f"{name} start")[0], signal.SIGKILL)

        for name in names:
            tree.wait_for(f"{name} start", 2)
        poll_until(lambda: tree.log.count(" is ready") == 200)
        tree.send(signal.SIGTERM)
        assert tree.exit_code() == 0
        assert tree.living() == []


def test_exception_in_a_child_is_logged_and_the_child_replaced(tmp_path: Path) -> None:
    """A child that raises ends with exit code 1 and waits longer each time."""
    with supervised_tree(tmp_path, "a:0:crash") as tree:
        tree.wait_for("a start", 3)

        assert "RuntimeError: crashed on purpose" in tree.log
        assert "exit code 1; restarting in 0.1 s" in tree.log
        assert "exit code 1; restarting in 0.2 s" in tree.log


@pytest.mark.parametrize(
    ("behaviour", "exit_code"), [("fail_at_start", 3), ("fail_at_start_by_exit", 2)]
)
def test_start_up_failure_stops_everything(tmp_path: Path, behaviour: str, exit_code: int) -> None:
    """A child that cannot start ends the command with its own exit code."""
    with supervised_tree(tmp_path, "a:0:serve", f"b:0:{behaviour}") as tree:
        assert tree.exit_code() == exit_code
        assert tree.living() == []
        assert tree.events().count("b start") == 1
        assert "supervisor ready" not in tree.events()


def test_start_up_failure_of_a_command_below_is_passed_on(tmp_path: Path) -> None:
    """A program that is not there is a start-up failure."""
    with supervised_tree(tmp_path, "a:0:missing") as tree:
        assert tree.exit_code() == 3
        assert "No such file or directory: '/nonexistent/command'" in tree.log


def test_exit_code_of_a_start_up_failure_means_nothing_later(tmp_path: Path) -> None:
    """A child that was ready once is replaced whatever its exit code."""
    with supervised_tree(tmp_path, "a:0:fail_later") as tree:
        tree.wait_for("a start", 3)

        tree.send(signal.SIGTERM)

        assert tree.exit_code() == 0


def test_readiness_is_told_once_when_all_are_ready(tmp_path: Path) -> None:
    """One child that is not ready holds it back; a replaced child does not tell it again."""
    with supervised_tree(tmp_path, "a:0:serve", "b:0:hang") as tree:
        tree.wait_for_log("a (pid ")
        tree.wait_for("b start")
        assert "supervisor ready" not in tree.events()
    again = tmp_path / "again"
    again.mkdir()
    with supervised_tree(again, "a:0:serve") as tree:
        tree.wait_for("supervisor ready")
        os.kill(tree.pids("a start")[0], signal.SIGKILL)
        poll_until(lambda: tree.log.count(" is ready") == 2)
        tree.send(signal.SIGTERM)
        assert tree.exit_code() == 0
        assert tree.events().count("supervisor ready") == 1


def test_command_is_ready_when_its_own_children_are(tmp_path: Path) -> None:
    """The supervisor below tells the one above, and stops with it."""
    with supervised_tree(tmp_path, "a:1:serve", "b:0:command") as tree:
        outer_pid, inner_pid = sorted(
            tree.wait_for("supervisor ready", 2), key=lambda pid: pid != tree.pid
        )
        assert outer_pid == tree.pid
        assert os.getpgid(inner_pid) == inner_pid

        tree.send(signal.SIGTERM)

        assert tree.exit_code() == 0
        assert tree.living() == []
        events = tree.events()
        assert events.index("b-inner start") < len(events) - 1 - events[::-1].index(
            "supervisor ready"
        )
        assert events[-2:] == ["b-inner stop", "a stop"]


def test_dead_child_stays_a_zombie_for_a_moment(tmp_path: Path) -> None:
    """Other processes of the host can read how a child died; then it is reaped."""
    with supervised_tree(tmp_path, "a:0:serve") as tree:
        (pid,) = tree.wait_for("a start")
        stat = Path(f"/proc/{pid}/stat")

        os.kill(pid, signal.SIGKILL)

        exit_status = poll_until(lambda: _exit_status_of_zombie(stat), message="a zombie")
        assert exit_status == "9"
        poll_until(lambda: not stat.exists())
        _, new_pid = tree.wait_for("a start", 2)
        assert _children_of(tree.pid) == [new_pid]


def test_supervisor_leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two supervisors in one process: descriptors, handlers and children are as before."""
    caplog.set_level(logging.INFO, "toto.supervisor")
    journal = tmp_path / "journal"
    handlers = [signal.getsignal(number) for number in range(1, 32)]
    descriptors = _open_descriptors()
    children = _children_of(os.getpid())
    for _ in range(2):
        supervisor = Supervisor(
            [
                make_spec(str(journal), "a:0:serve"),
                make_spec(str(journal), "b:1:fail_later"),
            ],
            graceful_timeout_seconds=20.0,
            on_ready=lambda: os.kill(os.getpid(), signal.SIGTERM),
        )

        assert supervisor.run() == 0

        assert [signal.getsignal(number) for number in range(1, 32)] == handlers
        assert _open_descriptors() == descriptors
        assert _children_of(os.getpid()) == children


def test_callback_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    """The error of a callback reaches the caller, after the children were killed."""
    descriptors = _open_descriptors()
    children = _children_of(os.getpid())

    def fail() -> None:
        raise ZeroDivisionError

    supervisor = Supervisor(
        [make_spec(str(tmp_path / "journal"), "a:0:stubborn")],
        graceful_timeout_seconds=20.0,
        on_ready=fail,
    )

    with pytest.raises(ZeroDivisionError):
        supervisor.run()

    assert _open_descriptors() == descriptors
    assert _children_of(os.getpid()) == children


def _exit_status_of_zombie(stat: Path) -> str:
    fields = stat.read_text().rpartition(")")[2].split()
    return fields[-1] if fields[0] == "Z" else ""


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))
