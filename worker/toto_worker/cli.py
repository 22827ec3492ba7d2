"""The command ``toto-worker``: a supervisor and its worker processes."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from toto._core.child import ChildSpec, follow_parent
from toto._core.command import build_command
from toto._core.command import main as run_command
from toto._core.logs import configure_logging
from toto._core.stores.open import preload
from toto._core.supervisor import Supervisor
from toto_worker.service import CANCEL_SECONDS, run_worker_process
from toto_worker.settings import WorkerSettings, check_worker_settings

__all__ = ["main", "make_command", "serve"]

GATEWAY_OPTIONS = (
    "access_log",
    "allow_origin",
    "batch_max",
    "bson_enabled",
    "cookie_domain",
    "cookie_secret",
    "error_status",
    "event_history",
    "host",
    "max_body_size",
    "method_module",
    "method_select",
    "msgpack_enabled",
    "port",
    "processes",
    "queue_max",
    "request_timeout",
    "root",
    "secure_cookies",
    "socket_calls_max",
    "socket_path",
    "static_path",
    "static_url",
    "trusted_proxies",
    "use_cookies",
    "use_web_sockets",
    "worker_address",
    "worker_plaintext",
)
"""Those that toto-gateway alone has: both commands may share an environment."""


def make_command(
    keywords: Mapping[str, object] | None = None, conf_path: Path | str | None = None
) -> click.Command:
    """Return the command, with option values from code below those of conf file and shell."""
    return build_command(
        "toto-worker",
        WorkerSettings,
        serve,
        check=check_worker_settings,
        keywords=keywords,
        conf_path=conf_path,
        known_elsewhere=(*GATEWAY_OPTIONS, "publish_secret_key"),  # toto-publish has it
    )


def serve(settings: WorkerSettings) -> int:
    """Run the worker processes until a signal; return the exit code."""
    parent = follow_parent(os.environ)
    preload(settings)
    configure_logging("worker", level=settings.log_level, log_format=settings.log_format)
    specs = []
    for index in range(settings.workers):
        name = f"worker-{index}"
        specs.append(
            ChildSpec(name=name, stage=0, start=partial(run_worker_process, settings, name))
        )
    return Supervisor(
        specs,
        graceful_timeout_seconds=settings.graceful_timeout + CANCEL_SECONDS,
        parent=parent,
    ).run()


def main() -> None:
    """Run the command with the words of the command line."""
    run_command(make_command())
