"""The HTTP front: decodes calls, hands them to workers over ZeroMQ, writes the answers."""
