"""``TotoServer``: the gateway command as an object, for start-up scripts."""

from pathlib import Path
from typing import NoReturn

from toto._core.command import main as run_command

__all__ = ["TotoServer"]


class TotoServer:
    """A gateway, configured by a conf file, keyword arguments and the command line.

    A script that makes one and calls ``run`` takes every option of ``toto-gateway`` on its own
    command line, ``--help`` included. Strongest last: default, keyword argument, conf file,
    ``TOTO_*`` environment variable, command line.

    Args:
        conf_file: path of a conf file, or None.
        kwargs: options by name, for instance ``port=9000``.
    """

    def __init__(self, conf_file: str | Path | None = None, **kwargs: object) -> None:
        self._conf_file = conf_file
        self._keywords = kwargs

    def run(self) -> NoReturn:
        """Serve until a signal, then leave the program with the command's exit code.

        Raises:
            SystemExit: always; code 0 after a clean stop, 2 for wrong options, 3 when the port or
                the methods could not be had.
        """
        from toto_gateway.cli import make_command  # the facade's one way down

        run_command(make_command(self._keywords, self._conf_file))
