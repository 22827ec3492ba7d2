"""Streams `size` bytes in pieces of 64 KiB."""

PIECE = b"x" * 65536


def invoke(handler, parameters):
    for _ in range(int(parameters["size"]) // len(PIECE)):
        handler.respond_raw(PIECE, "application/octet-stream", finish=False)
