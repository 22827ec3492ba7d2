"""Code beside the method root: reachable only where a method package re-exports it."""
