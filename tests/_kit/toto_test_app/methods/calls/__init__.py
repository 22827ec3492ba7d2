"""Methods that call other methods."""
