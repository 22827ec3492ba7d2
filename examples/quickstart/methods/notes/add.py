"""Keep a note of the user, `text`, in the user's account.

Of two notes added at the same moment one may be lost: the list is read and written as a whole.
Where that matters, notes are rows of a table of their own, reached by `handler.db`.
"""

from methods._parameters import BAD_PARAMETER
from toto.exceptions import TotoException
from toto.invocation import authenticated, requires

NOTES_MAX = 100
TEXT_MAX = 1000


@authenticated
@requires("text")
def invoke(handler, parameters):
    text = parameters["text"]
    if not isinstance(text, str) or len(text) > TEXT_MAX:
        raise TotoException(BAD_PARAMETER, f"text must be a text of at most {TEXT_MAX} characters")
    account = handler.session.get_account()
    account["notes"] = [*(account["notes"] or []), text][-NOTES_MAX:]
    account.save()
    return {"notes": len(account["notes"])}
