"""Methods for the load runs."""
