"""Sends the event for which all wait."""

from typing import Any

from toto.events import EventManager


def invoke(handler: Any, parameters: Any) -> None:
    EventManager.instance().send("bench.wake", parameters["number"])
