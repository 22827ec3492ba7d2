"""Events to and fro between two workers."""
