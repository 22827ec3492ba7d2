"""Write docs/options.md from the settings classes: `python docs/write_options.py [--check]`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from toto._core.settings import Option, options_of
from toto._core.stores.settings import StoreSettings
from toto_gateway.settings import GatewaySettings
from toto_worker.settings import WorkerSettings

PAGE = Path(__file__).resolve().parent / "options.md"

INTRODUCTION = """\
<!-- Written by docs/write_options.py: change the settings classes, not this page. -->
# Options

Every option can be given in Python (`TotoServer(port=8888)`), in a conf file (`port = 8888`), in
the environment (`TOTO_PORT=8888`) and on the command line (`--port 8888`). The later of these wins,
and each wins over the default. `--show-config` prints every value and where it came from;
`--check-config` says whether the options are valid.

A conf file (`--conf gw.conf`) is TOML, or a flat list of `name = literal` lines in Python's syntax.
An option that does not exist is an error. So is, in the environment, a `TOTO_` variable that is no
option of either command; the two may share an environment. What Kubernetes sets there for a service
named `toto-...` is left alone, such as `TOTO_GATEWAY_SERVICE_HOST`.

- Durations: `500ms`, `30s`, `5m`, `1h`, or a number of seconds.
- Sizes: `512KiB`, `2MiB`, `1GiB`, or decimal `kB`, `MB`, `GB`, or a number of bytes.
- Flags: `true` or `false`; on the command line `--debug` or `--no-debug`.
- Names: separated by commas, or a list in a conf file.
- Secrets: text; they show as `********` and are taken out of the environment of what methods start.

A gateway gives the options that both commands have to its local workers. Workers that are started
apart need the same ones.
"""


def options_page() -> str:
    """Return the text of the page."""
    return "\n".join(
        [
            INTRODUCTION,
            _table("toto-gateway", _own_options(GatewaySettings)),
            _table("toto-worker", _own_options(WorkerSettings)),
            _table("Both commands", options_of(StoreSettings)),
        ]
    )


def main(arguments: Sequence[str], page: Path = PAGE) -> int:
    """Write the page, or with ``--check`` only compare it.

    Args:
        arguments: nothing, or ``--check``.
        page: the file to write.

    Returns:
        1 if ``--check`` found the page stale, else 0.
    """
    text = options_page()
    if "--check" not in arguments:
        page.write_text(text)
        return 0
    if page.is_file() and page.read_text() == text:
        return 0
    sys.stderr.write(f"{page.name} is stale: run `make docs`\n")
    return 1


def _own_options(settings_class: type[StoreSettings]) -> list[Option]:
    shared = {option.name for option in options_of(StoreSettings)}
    return [option for option in options_of(settings_class) if option.name not in shared]


def _table(command: str, options: Sequence[Option]) -> str:
    lines = [
        f"## {command}",
        "",
        "| option | environment variable | type and unit | default | |",
        "|---|---|---|---|---|",
    ]
    for option in options:
        kind = option.kind.name.replace("|", " \\| ")
        cells = [
            f"`{option.command_line_name}`",
            f"`{option.environment_name}`",
            f"{kind}, {option.unit}" if option.unit else kind,
            option.default_help or f"`{option.default_text}`",
            option.help,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
