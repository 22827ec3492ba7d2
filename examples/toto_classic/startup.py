import logging
from threading import Lock

from toto.handler import TotoHandler

logger = logging.getLogger("classic")
started = []
finished = []
lock = Lock()


def before_handler(handler, transaction_id, method):
    with lock:
        started.append((str(transaction_id), method))
    logger.info("Begin %s %s", method, transaction_id)


def after_handler(handler, transaction_id):
    with lock:
        finished.append(str(transaction_id))
    logger.info("Finished %s", transaction_id)


def on_start(db_connection, **kwargs):
    TotoHandler.set_before_handler(before_handler)
    TotoHandler.set_after_handler(after_handler)
    logger.info("Database: %s", type(db_connection).__name__)
