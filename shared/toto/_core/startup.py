"""The application's startup function, run in every gateway and worker process before it serves."""

import importlib
import inspect
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toto.dbconnection import DBConnection

__all__ = ["StartupError", "run_startup_function"]

_log = logging.getLogger("toto.startup")


class StartupError(Exception):
    """The startup function could not be found, or failed.

    Args:
        reason: one sentence.
        traceback_text: the application's traceback; empty when there is none.
    """

    def __init__(self, reason: str, traceback_text: str = "") -> None:
        super().__init__(reason)
        self.traceback_text = traceback_text


def run_startup_function(name: str, *, app_dir: Path, db_connection: "DBConnection") -> None:
    """Import and call the function named by the option ``startup_function``.

    It is called as Toto did, ``fn(db_connection=..., application=None)``; what its signature does
    not take is left out.

    Args:
        name: such as ``myapp.startup.on_start``; empty does nothing.
        app_dir: folder put first on the import path.
        db_connection: the process's accounts and sessions.

    Raises:
        StartupError: the function is missing, is a coroutine function, or raised anything but
            ``KeyboardInterrupt``.
    """
    if not name:
        return
    folder = str(app_dir.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Told before, so that the log says what a process that never comes up is waiting for.
    _log.info("running startup function %s", name)
    try:
        function = _imported(name)
        offered = {"db_connection": db_connection, "application": None}
        parameters = inspect.signature(function).parameters.values()
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        taken = {each.name for each in parameters}
        result = function(**{key: offered[key] for key in offered if takes_all or key in taken})
        if inspect.iscoroutine(result):  # of a function that does not show it, such as a lambda
            result.close()
            raise _is_coroutine(name)
    except (StartupError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the edge: the user's code, which may even call sys.exit
        text = traceback.format_exc()
        reason = f"startup_function {name} failed: {type(error).__name__}"
        raise StartupError(reason, text) from error
    _log.info("startup function %s has run", name)


def _imported(name: str) -> Callable[..., Any]:
    module_name, _, function_name = name.rpartition(".")
    function = getattr(importlib.import_module(module_name), function_name, None)
    if not callable(function):
        raise StartupError(f"module {module_name} has no function {function_name}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise _is_coroutine(name)
    found: Callable[..., Any] = function
    return found


def _is_coroutine(name: str) -> StartupError:
    return StartupError(
        f"startup_function {name} is a coroutine function; it must be a plain one, "
        "which has done its work when it returns"
    )
