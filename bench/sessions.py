"""What sessions and signatures cost: one gateway, loaded with and without them, in one run.

    python bench/sessions.py --rounds 3 --seconds 3 --write docs/benchmarks-sessions.md

Every contender is the same gateway with one worker. ``plain`` calls a method without a session; the
others call one that needs a user, by signed requests (``hmac_enabled``), and their answers are
signed too.
"""

import argparse
import base64
import hashlib
import hmac
import json
import shutil
import statistics
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from run import BENCH, Figures, Scenario, load, serving

BODY = '{"method": "%s", "parameters": {"arg1": 1, "arg2": "hello"}}'
PASSWORD = "correct horse battery staple"  # noqa: S105  # of an account that lives for seconds
CONNECTIONS = 32
REDIS_PREFIX = "toto-bench:"
SIGNED_OPTIONS = ("--hmac-enabled",)


@dataclass(frozen=True)
class Contender:
    """One way to keep sessions."""

    name: str
    about: str
    options: tuple[str, ...]
    is_signed: bool = True


def contenders(folder: Path, redis_url: str) -> tuple[Contender, ...]:
    """Return what is compared; files go into the folder."""
    sqlite = f"--sqlite-path={folder / 'bench.db'}"
    keys = "--session-keys=" + "k" * 48
    return (
        Contender("plain", "no session", (sqlite,), is_signed=False),
        Contender(
            "redis",
            "accounts in sqlite, sessions in Redis",
            (
                sqlite,
                "--session-cache=redis",
                f"--redis-url={redis_url}",
                f"--redis-prefix={REDIS_PREFIX}",
            ),
        ),
        Contender(
            "client",
            "accounts in sqlite, sessions in client tokens",
            (sqlite, "--session-cache=client", keys),
        ),
        Contender("sqlite", "accounts and sessions in sqlite", (sqlite,)),
    )


def command(port: int, contender: Contender) -> list[str]:
    """Return how the gateway is started."""
    return [
        str(Path(sys.executable).parent / "toto-gateway"),
        f"--port={port}",
        "--host=127.0.0.1",
        "--workers=1",
        f"--app-dir={BENCH}",
        "--log-level=error",
        *(SIGNED_OPTIONS if contender.is_signed else ()),
        *contender.options,
    ]


def call(port: int, method: str, parameters: dict[str, Any]) -> Any:
    """Call a method without a session and return its result."""
    body = json.dumps({"method": method, "parameters": parameters}).encode()
    request = urllib.request.Request(  # our own address
        f"http://127.0.0.1:{port}/", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)["result"]


def write_script(port: int, contender: Contender, folder: Path, user_id: str) -> Path:
    """Write wrk's script; the same request is signed once, since scheme v1 has no nonce."""
    lines = ['wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"']
    body = BODY % ("signed_value" if contender.is_signed else "return_value")
    if contender.is_signed:
        made = call(port, "account.create", {"user_id": user_id, "password": PASSWORD})
        mac = hmac.new(made["key"].encode(), b"POST/" + body.encode(), hashlib.sha1)
        signature = base64.b64encode(mac.digest()).decode()
        lines.append(f'wrk.headers["x-toto-session-id"] = "{made["session_id"]}"')
        lines.append(f'wrk.headers["x-toto-hmac"] = "{signature}"')
    lines.append(f"wrk.body = '{body}'")
    # wrk counts statuses only, and errors of methods answer 200.
    lines += [
        "function response(status, headers, body)",
        '  if not string.find(body, "hello", 1, true) then print("Non-2xx") end',
        "end",
    ]
    script = folder / f"{contender.name}.lua"
    script.write_text("\n".join(lines))
    return script


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, list[Figures]]:
    """Run all rounds; contenders take turns, so that a change of the machine's mood hits all."""
    results: dict[str, list[Figures]] = {}
    for number in range(arguments.rounds):
        for contender in contenders(folder, arguments.redis_url):
            with serving(command(arguments.port, contender), arguments.port):
                user_id = f"{contender.name}-{number}"
                script = write_script(arguments.port, contender, folder, user_id)
                scenario = Scenario(contender.name, str(script), CONNECTIONS, contender.about)
                load(arguments.port, scenario, 1)
                figures = load(arguments.port, scenario, arguments.seconds)
                results.setdefault(contender.name, []).append(figures)
    return results


def remove_keys(redis_url: str) -> None:
    """Remove what the runs left in Redis, where sessions live for a year."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"{REDIS_PREFIX}*"):
            client.delete(key)


def report(results: dict[str, list[Figures]], about: dict[str, str], shown: str) -> str:
    """Return the page."""
    rates = {name: statistics.median(r.per_second for r in runs) for name, runs in results.items()}
    lines = [
        "# What sessions cost",
        "",
        "One gateway process and one worker process, 32 connections, 70 bytes of JSON. All but",
        "`plain` send a session id and a signature, and get a signed answer that tells of the",
        "session. Compare the ratios of one run.",
        "",
        f"Made by `{shown}`, Python {sys.version.split()[0]}.",
        "",
        "| sessions | per second | p50 ms | p99 ms | of plain |",
        "|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        p50 = statistics.median(run.p50_milliseconds for run in runs)
        p99 = statistics.median(run.p99_milliseconds for run in runs)
        ratio = rates[name] / rates["plain"]
        lines.append(
            f"| {name}: {about[name]} | {rates[name]:,.0f} | {p50:.2f} | {p99:.2f} | {ratio:.2f}x |"
        )
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure, print, and write the page if asked to."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--port", type=int, default=9102)
    options.add_argument("--redis-url", default="redis://127.0.0.1:6379/0")
    options.add_argument("--write", type=Path, help="write the page to this file")
    arguments = options.parse_args()
    if shutil.which("wrk") is None:
        sys.stderr.write("wrk is needed: apt-get install wrk\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        try:
            results = measure(arguments, Path(folder))
        finally:
            remove_keys(arguments.redis_url)
        about = {each.name: each.about for each in contenders(Path(folder), "")}
    shown = f"python bench/sessions.py --rounds {arguments.rounds} --seconds {arguments.seconds}"
    page = report(results, about, shown)
    sys.stdout.write(page)
    if arguments.write:
        arguments.write.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
