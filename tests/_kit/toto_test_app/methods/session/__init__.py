"""Methods that tell what they see of sessions and accounts."""
