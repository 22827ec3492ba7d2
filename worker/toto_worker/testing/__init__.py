"""A worker without sockets, for ``toto.testing``: all of it runs inside one call of a test."""
