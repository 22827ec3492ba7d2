"""Calls on their way to workers: the scheduler, the pending table and the ZeroMQ pump."""
