"""Methods that send events and wait for them."""
