"""A module whose ``invoke`` cannot be called is no method."""

invoke = "a text"
