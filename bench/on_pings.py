"""Answers each event of the latency run with another one; for the option ``event_init_module``."""

from typing import Any


def invoke(event_manager: Any) -> None:
    def answer(number: Any) -> None:
        event_manager.send("bench.pong", number)

    event_manager.register_handler("bench.ping", answer, run_on_main_loop=True, persist=True)
