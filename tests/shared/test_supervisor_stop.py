"""How a supervisor ends, or its children without it; with real processes."""

import os
import signal
from pathlib import Path

import pytest

from toto_testkit.supervised_tree import supervised_tree
from toto_testkit.waiting import poll_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_goes_from_stage_to_stage(tmp_path: Path, number: signal.Signals) -> None:
    """A stage is told to stop once the one before is gone; the callback comes first."""
    children = ("b:1:serve", "a1:0:drain", "c:2:serve", "a2:0:drain")
    with supervised_tree(tmp_path, *children) as tree:
        tree.wait_for("supervisor ready")
        started = len(tree.events())

        tree.send(number)

        pids = [tree.wait_for(f"{name} draining")[0] for name in ("a1", "a2")]
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        assert tree.exit_code() == 0
        events = tree.events()[started:]
        assert events[0] == "supervisor stopping"
        assert sorted(events[1:3]) == ["a1 draining", "a2 draining"]
        assert sorted(events[3:5]) == ["a1 stop", "a2 stop"]
        assert events[5:] == ["b stop", "c stop"]
        assert tree.living() == []


def test_terminal_interrupt_reaches_the_supervisor_alone(tmp_path: Path) -> None:
    """Ctrl-C goes to the whole process group, but children stop when the supervisor says so."""
    with supervised_tree(tmp_path, "a:0:drain", "b:1:serve", "c:1:command") as tree:
        tree.wait_for("supervisor ready", 2)

        os.killpg(tree.pid, signal.SIGINT)

        os.kill(tree.wait_for("a draining")[0], signal.SIGUSR1)
        assert tree.exit_code() == 0
        assert tree.living() == []
        assert "SIGINT;" not in tree.log
        events = tree.events()
        assert events.index("a stop") < events.index("b stop")
        assert events.index("a stop") < events.index("c-inner stop")


def test_second_signal_kills_at_once(tmp_path: Path) -> None:
    """The operator need not wait for the graceful timeout."""
    with supervised_tree(tmp_path, "a:0:stubborn", "b:1:command") as tree:
        tree.wait_for("supervisor ready", 2)
        tree.send(signal.SIGTERM)
        tree.wait_for("supervisor stopping")

        tree.send(signal.SIGINT)

        assert tree.exit_code() == 1
        poll_until(lambda: tree.living() == [])
        assert "b-inner stop" not in tree.events()


def test_quit_kills_at_once(tmp_path: Path) -> None:
    """SIGQUIT needs no first signal, and the callback is still called."""
    with supervised_tree(tmp_path, "a:0:serve") as tree:
        tree.wait_for("supervisor ready")

        tree.send(signal.SIGQUIT)

        assert tree.exit_code() == 1
        assert tree.events()[-1] == "supervisor stopping"
        assert tree.living() == []


def test_hangup_changes_nothing(tmp_path: Path) -> None:
    """A terminal that goes away stops neither the supervisor nor a child."""
    with supervised_tree(tmp_path, "a:0:serve") as tree:
        tree.wait_for("supervisor ready")

        os.killpg(tree.pid, signal.SIGHUP)

        tree.wait_for_log("SIGHUP is ignored")
        tree.send(signal.SIGTERM)
        assert tree.exit_code() == 0
        assert tree.events().count("a start") == 1
        assert tree.events()[-1] == "a stop"


def test_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """After the timeout a child is killed, the next stage is still stopped gracefully."""
    children = ("a:0:stubborn", "b:1:serve")
    with supervised_tree(tmp_path, *children, graceful_seconds=0.1) as tree:
        tree.wait_for("supervisor ready")

        tree.send(signal.SIGTERM)

        assert tree.exit_code() == 1
        assert tree.events()[-1] == "b stop"
        assert tree.living() == []


@pytest.mark.parametrize(("behaviour", "starts"), [("crash", 3), ("hang", 1)])
def test_stop_while_children_are_not_ready(tmp_path: Path, behaviour: str, starts: int) -> None:
    """A child in back-off is not started again, one that is not yet ready is told to stop."""
    with supervised_tree(tmp_path, f"a:0:{behaviour}", "b:0:serve") as tree:
        tree.wait_for("a start", starts)
        tree.wait_for("b start")

        tree.send(signal.SIGTERM)

        assert tree.exit_code() == 0
        assert tree.living() == []


def test_nobody_is_called_ready_while_stopping(tmp_path: Path) -> None:
    """A child that gets ready after the signal does not make the command announce itself."""
    with supervised_tree(tmp_path, "a:0:late") as tree:
        tree.wait_for("a start")

        tree.send(signal.SIGTERM)
        tree.wait_for("a draining")
        tree.wait_for_log("is ready")
        os.kill(tree.pids("a start")[-1], signal.SIGUSR1)

        assert tree.exit_code() == 0
        assert "supervisor ready" not in tree.events()


def test_nothing_is_started_while_stopping(tmp_path: Path) -> None:
    """A child whose back-off ends during the stop stays dead."""
    children = ("a:0:crash", "b:0:stubborn")
    with supervised_tree(tmp_path, *children, graceful_seconds=0.5) as tree:
        tree.wait_for("b start")
        tree.wait_for_log("restarting in 0.4 s")

        tree.send(signal.SIGTERM)

        assert tree.exit_code() == 1
        events = tree.events()
        assert "a start" not in events[events.index("supervisor stopping") :]


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    """Nothing that was started outlives the supervisor by 5 s, at whatever depth."""
    with supervised_tree(tmp_path, "a:0:serve", "b:0:orphan", "c:1:command") as tree:
        tree.wait_for("supervisor ready", 2)
        assert len(tree.living()) == 5

        tree.send(signal.SIGKILL)

        tree.exit_code()
        poll_until(lambda: tree.living() == [], 5.0, "the children are gone")
        assert "c-inner stop" in tree.events()
        assert "stopping at once" not in tree.log


def test_siblings_do_not_hold_the_parent_pipe(tmp_path: Path) -> None:
    """A child learns of the supervisor's end though older and younger siblings live on."""
    children = ("a:0:stubborn", "b:0:orphan", "c:0:stubborn", "d:0:stubborn")
    with supervised_tree(tmp_path, *children) as tree:
        tree.wait_for("supervisor ready")
        os.kill(tree.pids("a start")[0], signal.SIGKILL)
        tree.wait_for("a start", 2)

        tree.send(signal.SIGKILL)

        tree.wait_for("b orphaned")
        siblings = [tree.pids(f"{name} start")[-1] for name in "acd"]
        assert set(siblings) <= set(tree.living())
