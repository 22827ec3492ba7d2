"""Keys and passwords: where they get to, and where they do not show."""

import subprocess
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.process_tree import descendant_pids
from toto_testkit.processes import command_path
from toto_testkit.sessions import PASSWORD, new_client

KEY = "a-session-key-of-more-than-32-bytes"
pytestmark = pytest.mark.system


def test_keys_reach_local_workers_and_nobody_sees_them(tmp_path: Path) -> None:
    """Neither the command lines, nor the log, nor the programs that methods start."""
    options = {
        "sqlite_path": str(tmp_path / "toto.db"),
        "session_cache": "client",
        "hmac_enabled": True,
        "debug": True,
        "log_level": "debug",
        "access_log": True,
    }
    environment = {"TOTO_SESSION_KEYS": KEY, "TOTO_POSTGRES_PASSWORD": "another-secret"}
    (tmp_path / "c").mkdir()
    with Cluster(tmp_path / "c", options=options, environment=environment) as cluster:
        client = new_client(cluster, "v1")
        assert client.call("session.secret").result == f"for {client.user_id}"
        client.call("session.fails")
        cluster.call("account.login", {"user_id": client.user_id, "password": "wrong-" + PASSWORD})
        inherited = cluster.call("environment").result
        pids = {cluster.pid, *descendant_pids(cluster.pid)}
        command_lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in pids]
        output = cluster.output()

    assert "TOTO_SESSION_KEYS" not in inherited
    assert "TOTO_POSTGRES_PASSWORD" not in inherited
    assert "TOTO_SESSION_CACHE" in inherited
    for secret in (KEY, "another-secret", PASSWORD, client.session_id, client.key):
        assert secret
        assert secret not in output
        assert all(secret not in line for line in command_lines)


def test_shown_settings_mask_secrets() -> None:
    """A Redis address may hold a password."""
    shown = subprocess.run(
        [
            command_path("toto-gateway"),
            "--redis-url=redis://:hidden@localhost/0",
            f"--session-keys={KEY}",
            "--cookie-secret=hidden-too",
            "--show-config",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout

    assert "hidden" not in shown
    assert KEY not in shown
    assert 'redis_url = "********"' in shown


def test_generated_keys_are_a_valid_conf_file(tmp_path: Path) -> None:
    """Two runs make different ones; the gateway takes all, the worker those above the comment."""
    runs = [
        subprocess.run(
            [command_path("toto-gateway"), "--generate-keys"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    conf = tmp_path / "keys.conf"
    conf.write_text('session_cache = "client"\n' + runs[0])

    checked = subprocess.run(
        [command_path("toto-gateway"), "--conf", str(conf), "--check-config"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert (checked.returncode, checked.stdout) == (0, "configuration is valid\n")
    before, _, after = runs[0].partition("# For gateways only: a worker has no such option")
    assert ("session_keys = " in before, "cookie_secret = " in before) == (True, False)
    assert "cookie_secret = " in after
    conf.write_text('session_cache = "client"\nconnect = "tcp://127.0.0.1:1"\n' + before)
    worker = subprocess.run(
        [command_path("toto-worker"), "--conf", str(conf), "--check-config"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (worker.returncode, worker.stdout) == (0, "configuration is valid\n")
    lines = [{line for line in run.splitlines() if "= " in line} for run in runs]
    assert lines[0].isdisjoint(lines[1])
    assert len(lines[0]) == 4
