"""TCP ports of the loopback address: free ones, and who listens on one."""

import os
import secrets
import socket
from pathlib import Path

from toto_testkit.process_tree import open_files

PORTS = range(10_000, 32_000)
LISTEN_STATE = "0A"  # st column of /proc/net/tcp


def free_port() -> int:
    """Return a port that was free a moment ago.

    Below the range that the kernel takes ports for outgoing connections from: one of those could
    take it before the server that it is for has started.
    """
    ports = own_part(PORTS)
    while True:
        port = secrets.choice(ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def own_part(ports: range) -> range:
    """Return those of the ports that no other process of this test run takes (pytest-xdist)."""
    name, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if name is None or count is None:
        return ports
    return ports[int(name.removeprefix("gw")) :: int(count)]


def is_listening(port: int) -> bool:
    """Tell whether somebody accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def holders(port: int, pids: set[int]) -> set[int]:
    """Return those of the processes that hold a listening socket of the port."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    return {pid for pid in pids if wanted & set(open_files(pid).values())}


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        for columns in (line.split() for line in lines):
            local_port = int(columns[1].rpartition(":")[2], 16)
            if local_port == port and columns[3] == LISTEN_STATE:
                inodes.add(columns[9])
    return inodes
