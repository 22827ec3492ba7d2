"""Clients that wait for an event, and what ends their waiting."""

from typing import Any

waiting: set[Any] = set()
"""The handlers of the calls that are parked in this worker."""
