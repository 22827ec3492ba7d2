"""The body formats clients speak: decoding with limits, encoding, and splicing envelopes."""
