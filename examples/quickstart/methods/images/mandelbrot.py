"""Draw the Mandelbrot set as a PNG: real work for a processor, and an answer that is no JSON."""

import struct
import zlib

from methods._parameters import number

STEPS = 60
LEFT, TOP, SPAN = -2.2, -1.2, 3.2


def invoke(handler, parameters):
    width = number(parameters, "width", low=1, high=1024, default=320)
    height = number(parameters, "height", low=1, high=768, default=240)
    rows = [bytes(shade(x, y, width, height) for x in range(width)) for y in range(height)]
    handler.respond_raw(png(width, height, rows), "image/png")


def shade(x, y, width, height):
    """Black inside the set; outside, the lighter the longer a point takes to escape."""
    point = complex(LEFT + SPAN * x / width, TOP + 2.4 * y / height)
    z = 0j
    for step in range(STEPS):
        z = z * z + point
        if abs(z) > 2:
            return 40 + 215 * step // STEPS
    return 0


def png(width, height, rows):
    """Write 8-bit grey rows as a PNG file: a signature and three chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
