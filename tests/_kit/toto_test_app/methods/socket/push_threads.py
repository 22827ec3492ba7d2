"""Send large messages from many threads at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    with ThreadPoolExecutor(parameters["threads"]) as pool:
        list(pool.map(lambda n: handler.send_message(str(n) * 2**20), range(parameters["threads"])))
    return "sent"
