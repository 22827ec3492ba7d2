"""What some methods take."""

from dataclasses import dataclass


@dataclass
class Sum:
    a: int
    b: int = 2
