"""Sessions in the gateway: reading credentials, loading sessions, and writing them back."""
