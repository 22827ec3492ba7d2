"""A package of methods."""
