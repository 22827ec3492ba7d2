"""How deep and how large a decoded body may be."""

from dataclasses import dataclass

__all__ = ["FORM_FIELDS_MAX", "DecodeLimits"]

FORM_FIELDS_MAX = 1000
"""Arguments of a query or of a form."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on what a body may decode to, whatever its format.

    Args:
        depth_max: containers inside one another.
        nodes_max: values in the whole body, containers included and keys not.
        members_max: calls in a batch, which is refused before it is taken apart.
    """

    depth_max: int = 64
    # A 224 x 224 x 3 picture as a JSON list is 150,000 values. Of a 2 MiB body only one made of
    # nothing but single digits or empty brackets comes to more than a million.
    nodes_max: int = 1_000_000
    members_max: int = 100_000
