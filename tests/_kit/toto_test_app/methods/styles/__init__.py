"""Methods that answer in other ways than by an envelope."""
