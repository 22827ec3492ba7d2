"""Methods for clients of WebSockets."""
