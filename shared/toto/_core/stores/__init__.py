"""Where accounts, sessions and counters are kept: the protocols, and one module a database."""
