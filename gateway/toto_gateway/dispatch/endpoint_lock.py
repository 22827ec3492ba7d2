"""One gateway per socket file: a second bind to an ipc path silently takes it from the first."""

import errno
import fcntl
import os

import zmq

__all__ = ["EndpointLock"]


class EndpointLock:
    """A lock file beside an ipc socket, held as long as the process lives.

    Args:
        endpoint: ``ipc://path``; for other schemes there is nothing to lock.
    """

    def __init__(self, endpoint: str) -> None:
        is_file = endpoint.startswith("ipc://") and not endpoint.startswith("ipc://@")
        self._path = endpoint.removeprefix("ipc://") + ".lock" if is_file else ""
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            zmq.ZMQError: when another process holds it, or the folder does not take files.
        """
        if not self._path:
            return
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise zmq.ZMQError(errno.EADDRINUSE) from None
        except OSError as error:
            self.release()
            raise zmq.ZMQError(error.errno or errno.EACCES) from error

    def release(self) -> None:
        """Give the lock back; may be called twice. The file stays: removing it would be a race."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
