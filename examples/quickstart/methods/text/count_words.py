"""Count the words of a text, given as the parameter `text` or as posted files."""

import re
from collections import Counter

from methods._parameters import BAD_PARAMETER, fields, is_multipart, require
from toto.exceptions import TotoException

WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
TOP = 10


def invoke(handler, parameters):
    counts = Counter()
    for text in texts(parameters):
        counts.update(WORD.findall(text.lower()))
    return {
        "words": counts.total(),
        "distinct": len(counts),
        "top": [[word, count] for word, count in counts.most_common(TOP)],
    }


def texts(parameters):
    """Every text of the request: one from JSON, any number from a query, a form or files."""
    named = fields(parameters)
    uploads = parameters["files"] if is_multipart(parameters) else {}
    if not uploads:
        require(parameters, "text")
    given = named.get("text", [])
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise TotoException(BAD_PARAMETER, "text must be a text")
    files = [upload for same_name in uploads.values() for upload in same_name]
    return found + [upload["body"].decode("utf-8", "replace") for upload in files]
