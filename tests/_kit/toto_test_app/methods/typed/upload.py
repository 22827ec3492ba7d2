"""Take a form with files."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Fields:
    count: int
    tags: list[str]


@dataclass
class Upload:
    arguments: Fields
    files: dict[str, list[dict[str, Any]]]


def invoke(handler: Any, parameters: Upload) -> Any:
    sizes = {
        name: [len(file["body"]) for file in files] for name, files in parameters.files.items()
    }
    return [parameters.arguments.count, parameters.arguments.tags, sizes]
