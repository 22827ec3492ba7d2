"""The application's module of event handlers, run in every worker process before it serves."""

import importlib
import inspect
import logging
import sys
import traceback
from pathlib import Path

from toto._core.startup import StartupError
from toto.events import EventManager

__all__ = ["run_event_init_module"]

_log = logging.getLogger("toto.startup")


def run_event_init_module(name: str, *, app_dir: Path, manager: EventManager) -> None:
    """Import the module named by the option ``event_init_module`` and call its ``invoke``.

    Args:
        name: such as ``myapp.on_events``; empty does nothing.
        app_dir: folder put first on the import path.
        manager: given to ``invoke``; handlers can be registered, but nothing be sent yet.

    Raises:
        StartupError: the module or its ``invoke`` is missing, is a coroutine function, or raised
            anything but ``KeyboardInterrupt``.
    """
    if not name:
        return
    folder = str(app_dir.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Told before, so that the log says what a process that never comes up is waiting for.
    _log.info("running event_init_module %s", name)
    try:
        invoke = getattr(importlib.import_module(name), "invoke", None)
        if not callable(invoke):
            raise StartupError(f"event_init_module {name} has no function invoke")
        result = invoke(manager)
        if inspect.iscoroutine(result):
            result.close()
            raise StartupError(f"invoke of event_init_module {name} must be a plain function")
    except (StartupError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the edge: the user's code, which may even call sys.exit
        text = traceback.format_exc()
        reason = f"event_init_module {name} failed: {type(error).__name__}"
        raise StartupError(reason, text) from error
    _log.info("event_init_module %s has run", name)
