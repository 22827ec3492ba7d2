"""Framing of streamed results."""
