"""Endpoints of several gateway processes."""

import pytest

from toto._core.siblings import process_endpoint, sibling_endpoint


@pytest.mark.parametrize(
    ("address", "index", "expected"),
    [
        ("ipc:///run/toto/g.sock", 0, "ipc:///run/toto/g.sock"),
        ("ipc:///run/toto/g.sock", 2, "ipc:///run/toto/g.sock-2"),
        ("tcp://127.0.0.1:5555", 0, "tcp://127.0.0.1:5555"),
        ("tcp://127.0.0.1:5555", 3, "tcp://127.0.0.1:5558"),
        ("tcp://[::1]:5555", 1, "tcp://[::1]:5556"),
    ],
)
def test_processes_listen_side_by_side(address: str, index: int, expected: str) -> None:
    """The first where it was told to, the others on the next ports or in files beside it."""
    assert process_endpoint(address, index) == expected


@pytest.mark.parametrize(
    ("address", "dialled", "expected"),
    [
        ("ipc:///run/g.sock-1", "ipc:///run/g.sock", "ipc:///run/g.sock-1"),
        ("tcp://10.0.0.7:5556", "tcp://gateway:5555", "tcp://10.0.0.7:5556"),
        ("tcp://0.0.0.0:5556", "tcp://gateway:5555", "tcp://gateway:5556"),
        ("tcp://[::]:5556", "tcp://[fd00::1]:5555", "tcp://[fd00::1]:5556"),
    ],
)
def test_a_gateway_on_all_interfaces_is_dialled_by_the_name_that_worked(
    address: str, dialled: str, expected: str
) -> None:
    """It cannot know by which name its workers reach it."""
    assert sibling_endpoint(address, dialled=dialled) == expected
