"""A command with a supervisor whose children do what a test says.

    python -m toto_testkit.supervised JOURNAL NAME:STAGE:BEHAVIOUR ... [--graceful-seconds N]

Every process notes what happens to it in the journal, one line each: name, event, pid.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

from toto._core.child import ChildContext, ChildSpec, Command, follow_parent
from toto._core.supervisor import Supervisor

Note = Callable[[str], None]


def main() -> int:
    """Supervise the children of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("journal")
    parser.add_argument("children", nargs="+")
    parser.add_argument("--graceful-seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    note = partial(write_note, arguments.journal, "supervisor")
    return Supervisor(
        [make_spec(arguments.journal, text) for text in arguments.children],
        graceful_timeout_seconds=arguments.graceful_seconds,
        kill_margin_seconds=0.1,
        on_ready=partial(note, "ready"),
        on_stop=partial(note, "stopping"),
        parent=follow_parent(os.environ),
    ).run()


def write_note(journal: str, name: str, event: str) -> None:
    """Append a line to the journal, in one write so that lines of many processes never mix."""
    with open(journal, "ab", buffering=0) as file:
        file.write(f"{name} {event} {os.getpid()}\n".encode())


def make_spec(journal: str, text: str) -> ChildSpec:
    """Read NAME:STAGE:BEHAVIOUR; `command` starts this program again, `missing` no program."""
    name, stage, behaviour = text.split(":")
    note = partial(write_note, journal, name)
    start: Callable[[ChildContext], int] | Command
    if behaviour == "command":
        inner = f"{name}-inner:0:serve"
        start = Command([sys.executable, "-m", "toto_testkit.supervised", journal, inner])
    elif behaviour == "missing":
        start = Command(["/nonexistent/command"])
    else:
        start = partial(BEHAVIOURS[behaviour], note)
    return ChildSpec(name=name, stage=int(stage), start=start)


def serve(note: Note, child: ChildContext) -> int:
    """Be ready, and stop when told."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    note("start")
    child.ready()
    child.ready()
    signal.sigwait({signal.SIGTERM})
    note("stop")
    return 0


def late(note: Note, child: ChildContext) -> int:
    """Be ready only when already told to stop, and stop a moment later (SIGUSR1)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    note("start")
    signal.sigwait({signal.SIGTERM})
    child.ready()
    note("draining")
    signal.sigwait({signal.SIGUSR1})
    return 0


def drain(note: Note, child: ChildContext) -> int:
    """Be ready, and stop when told and the test says that the work is done (SIGUSR1)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    note("start")
    child.ready()
    signal.sigwait({signal.SIGTERM})
    note("draining")
    signal.sigwait({signal.SIGUSR1})
    note("stop")
    return 0


def stubborn(note: Note, child: ChildContext) -> int:
    """Be ready, and never stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("start")
    child.ready()
    while True:
        signal.pause()


def orphan(note: Note, child: ChildContext) -> int:
    """Be ready, and stop when the parent pipe ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("start")
    child.ready()
    os.read(child.parent_pipe, 1)
    note("orphaned")
    return 0


def hang(note: Note, _child: ChildContext) -> int:
    """Never be ready."""
    note("start")
    while True:
        signal.pause()


def crash(note: Note, _child: ChildContext) -> int:
    """Fail with an exception before being ready."""
    note("start")
    raise RuntimeError("crashed on purpose")


def fail_at_start(note: Note, _child: ChildContext) -> int:
    """End with the exit code of a start-up failure."""
    note("start")
    return 3


def fail_at_start_by_exit(note: Note, _child: ChildContext) -> int:
    """End with the exit code of a usage error, by SystemExit."""
    note("start")
    sys.exit(2)


def fail_later(note: Note, child: ChildContext) -> int:
    """Be ready, then end at once with the exit code of a start-up failure."""
    note("start")
    child.ready()
    return 3


BEHAVIOURS = {
    behaviour.__name__: behaviour
    for behaviour in (
        serve,
        late,
        drain,
        stubborn,
        orphan,
        hang,
        crash,
        fail_at_start,
        fail_at_start_by_exit,
        fail_later,
    )
}

if __name__ == "__main__":
    sys.exit(main())
