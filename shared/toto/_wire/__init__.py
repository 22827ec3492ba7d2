"""The messages between gateway and worker: the only place a wire byte is written."""
