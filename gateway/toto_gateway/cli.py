"""The command ``toto-gateway``: a supervisor, gateway processes and, if wanted, local workers."""

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click
from tornado.netutil import bind_sockets

from toto._core.child import ChildContext, ChildSpec, Command, follow_parent
from toto._core.command import build_command
from toto._core.command import main as run_command
from toto._core.key_generation import generate_keys_text
from toto._core.logs import configure_logging
from toto._core.settings import as_environment
from toto._core.siblings import process_endpoint
from toto._core.stores.settings import StoreSettings
from toto._core.supervisor import EXIT_STARTUP, Supervisor
from toto_gateway.app import preload_gateway, run_gateway_process
from toto_gateway.server import CANCEL_SECONDS
from toto_gateway.settings import GatewaySettings, check_gateway_settings

__all__ = ["main", "make_command", "serve"]

_log = logging.getLogger("toto.gateway")

BACKLOG = 1024
GATEWAY_STAGE, WORKER_STAGE = 0, 1
WORKER_OPTIONS = ("connect", "coroutines", "exclude", "methods", "only")
"""Those that toto-worker alone has: both commands may share an environment."""
WORKER_STOP_SECONDS = 5.0
"""What the local workers' own supervisor needs beyond the graceful timeout."""


def make_command(
    keywords: Mapping[str, object] | None = None, conf_path: Path | str | None = None
) -> click.Command:
    """Return the command, with option values from code below those of conf file and shell."""
    command = build_command(
        "toto-gateway",
        GatewaySettings,
        serve,
        check=check_gateway_settings,
        keywords=keywords,
        conf_path=conf_path,
        known_elsewhere=(*WORKER_OPTIONS, "publish_secret_key"),  # toto-publish has it
    )
    command.params.append(
        click.Option(
            ["--generate-keys"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_keys,
            help="Print new secret keys as lines for a conf file and exit.",
        )
    )
    return command


def _show_keys(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        click.echo(generate_keys_text(), nl=False)
        context.exit()


def serve(settings: GatewaySettings) -> int:
    """Run the gateway processes and local workers until a signal; return the exit code."""
    parent = follow_parent(os.environ)
    preload_gateway(settings)
    configure_logging("gateway", level=settings.log_level, log_format=settings.log_format)
    try:
        sockets = bind_sockets(settings.port, settings.host or None, backlog=BACKLOG)
    except OSError as error:
        place = f"{settings.host or '*'}:{settings.port}"
        sys.stderr.write(f"toto-gateway: error: cannot listen on {place}: {error.strerror}\n")
        return EXIT_STARTUP
    run_directory = Path(tempfile.mkdtemp(prefix=f"toto-{os.getpid()}-"))
    try:
        address = settings.worker_address or f"ipc://{run_directory}/gateway.sock"
        return _supervisor(settings, sockets, address, parent).run()
    finally:
        shutil.rmtree(run_directory, ignore_errors=True)


def main() -> None:
    """Run the command with the words of the command line."""
    run_command(make_command())


def _supervisor(
    settings: GatewaySettings,
    sockets: list[socket.socket],
    worker_address: str,
    parent: ChildContext | None,
) -> Supervisor:
    specs = [
        ChildSpec(
            name=f"gateway-{index}",
            stage=GATEWAY_STAGE,
            start=partial(run_gateway_process, settings, sockets, worker_address, index),
        )
        for index in range(settings.processes)
    ]
    if settings.workers:
        # By the environment, since everybody on the host can read a command line.
        environment = as_environment(settings, StoreSettings)
        command = Command(_worker_arguments(settings, worker_address), environment)
        specs.append(ChildSpec(name="workers", stage=WORKER_STAGE, start=command))

    def say_ready() -> None:
        host = settings.host or "localhost"
        port = sockets[0].getsockname()[1]
        _log.info("serving on http://%s:%d%s", host, port, settings.root)
        _log.info("workers connect to %s", worker_address)

    def stop_listening() -> None:
        for listener in sockets:
            listener.close()

    return Supervisor(
        specs,
        graceful_timeout_seconds=settings.graceful_timeout + CANCEL_SECONDS,
        kill_margin_seconds=WORKER_STOP_SECONDS,
        on_ready=say_ready,
        on_stop=stop_listening,
        parent=parent,
    )


def _worker_arguments(settings: GatewaySettings, worker_address: str) -> list[str]:
    endpoints = ",".join(process_endpoint(worker_address, n) for n in range(settings.processes))
    # -P: the current folder must not come before our own packages on the import path.
    return [
        sys.executable,
        "-P",
        "-m",
        "toto_worker",
        f"--methods={settings.method_module}",
        f"--connect={endpoints}",
        f"--workers={settings.workers}",
        f"--threads={settings.threads}",
        f"--app-dir={settings.app_dir}",
        f"--event-init-module={settings.event_init_module}",
        f"--graceful-timeout={settings.graceful_timeout}",
        "--debug" if settings.debug else "--no-debug",
    ]
