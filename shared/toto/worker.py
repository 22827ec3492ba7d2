"""``TotoWorkerService``: the worker command as an object, for start-up scripts."""

from pathlib import Path
from typing import NoReturn

from toto._core.command import main as run_command

__all__ = ["TotoWorkerService"]


class TotoWorkerService:
    """Worker processes, configured by a conf file, keyword arguments and the command line.

    Args:
        conf_file: path of a conf file, or None.
        kwargs: options by name, for instance ``connect="tcp://127.0.0.1:5555"``; Toto's name for
            ``methods``, ``method_module``, is understood too.
    """

    def __init__(self, conf_file: str | Path | None = None, **kwargs: object) -> None:
        self._conf_file = conf_file
        self._keywords = kwargs

    def run(self) -> NoReturn:
        """Serve until a signal, then leave the program with the command's exit code.

        Raises:
            SystemExit: always; code 0 after a clean stop, 2 for wrong options, 3 when the methods
                could not be loaded.
        """
        from toto_worker.cli import make_command  # the facade's one way down

        run_command(make_command(self._keywords, self._conf_file))
