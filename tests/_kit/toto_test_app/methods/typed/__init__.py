"""Methods whose parameters have a type."""
