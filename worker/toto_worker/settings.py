"""The options of toto-worker, and what they must be together."""

import os
from dataclasses import dataclass
from pathlib import Path

from toto._core import kinds
from toto._core.endpoints import parse_endpoint
from toto._core.event_settings import check_event_init_module
from toto._core.settings import SettingsError, option
from toto._core.stores.settings import StoreSettings, check_store_settings

__all__ = ["WorkerSettings", "check_worker_settings"]


def _cpu_count() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(StoreSettings):
    """Run the methods of a package for gateways."""

    methods: str = option(
        "methods",
        kind=kinds.text(),
        help="Package of the methods to serve, such as `myapp.methods`.",
        alias="method_module",
    )
    connect: tuple[str, ...] = option(
        (),
        kind=kinds.names(),
        help="Gateways to serve: `ipc://PATH` or `tcp://HOST:PORT`, separated by commas.",
        default_help="none, and one is required",
    )
    workers: int = option(
        1,
        kind=kinds.integer(1, 512, automatic=_cpu_count),
        unit="processes",
        help="Worker processes to start; auto is one for each CPU.",
    )
    threads: int = option(
        1,
        kind=kinds.integer(1, 256),
        unit="threads",
        help="Plain calls that each worker process runs at once.",
    )
    coroutines: int = option(
        128,
        kind=kinds.integer(1, 10_000),
        unit="calls",
        help="Coroutine calls that each worker process runs at once.",
    )
    app_dir: Path = option(
        Path("."),
        kind=kinds.path(),
        help="Folder put first on the import path.",
    )
    only: tuple[str, ...] = option(
        (),
        kind=kinds.names(),
        help="Serve only the methods that match one of these patterns, such as `images.*`.",
        default_help="all",
    )
    exclude: tuple[str, ...] = option(
        (),
        kind=kinds.names(),
        help="Do not serve the methods that match one of these patterns.",
        default_help="none",
    )
    event_init_module: str = option(
        "",
        kind=kinds.text(),
        help="Module such as `myapp.on_events`, whose `invoke(event_manager)` runs once in every "
        "worker process before it serves, to register handlers of events.",
        default_help="none",
    )
    graceful_timeout: float = option(
        30.0,
        kind=kinds.duration(),
        help="Time that running calls have to finish when the worker stops.",
    )
    debug: bool = option(
        False,
        kind=kinds.flag(),
        help="Send the text of unexpected exceptions to clients.",
    )


def check_worker_settings(settings: WorkerSettings) -> None:
    """Refuse settings that cannot work, although each value alone is of the right kind.

    Raises:
        SettingsError: the first problem found.
    """
    if not all(part.isidentifier() for part in settings.methods.split(".")):
        raise SettingsError(
            f"methods must be a package name such as myapp.methods, not {settings.methods!r}"
        )
    if not settings.connect:
        raise SettingsError(
            "connect must name at least one gateway, such as --connect tcp://127.0.0.1:5555"
        )
    for address in settings.connect:
        try:
            parse_endpoint(address)
        except ValueError as error:
            raise SettingsError(f"connect has {address!r}, but an address must {error}") from error
    check_store_settings(settings)
    check_event_init_module(settings.event_init_module)
    if not os.path.isdir(settings.app_dir):
        raise SettingsError(f"app_dir must be an existing folder, not '{settings.app_dir}'")
