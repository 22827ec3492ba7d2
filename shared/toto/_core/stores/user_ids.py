"""The one form in which a user id is kept, so that no two accounts look the same to a computer."""

import re
import unicodedata

__all__ = ["USER_ID_BYTES_MAX", "normalise_user_id"]

USER_ID_BYTES_MAX = 256
"""Of the UTF-8 of a normalised user id."""

# Control, format, surrogate, private and unassigned characters, line and paragraph separators. An
# unassigned character may get another normal form in a later Unicode.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks that Unicode calls default-ignorable: they cannot be seen.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def normalise_user_id(user_id: object) -> str | None:
    """Return the normal form of a user id (NFKC and casefold, without spaces around it).

    Letters of different alphabets that look alike stay different.

    Args:
        user_id: as a client sent it.

    Returns:
        None when it is no user id: not text, empty, longer than 256 bytes, or with characters that
        cannot be seen.
    """
    # Work is bounded first. Composition joins at most four characters, so nothing longer can fit.
    if not isinstance(user_id, str) or len(user_id) > USER_ID_BYTES_MAX * 4:
        return None
    if any(unicodedata.category(c) in _REFUSED_CATEGORIES for c in user_id):
        return None
    if _INVISIBLE.search(user_id):
        return None
    folded = unicodedata.normalize("NFKC", user_id).casefold()
    normal = unicodedata.normalize("NFKC", folded).strip()
    if not normal or len(normal.encode()) > USER_ID_BYTES_MAX:
        return None
    return normal
