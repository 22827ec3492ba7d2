"""Reading parameters, whether they came as JSON, as a form, as a query or as multipart.

The name starts with an underscore, so this module is no method.
"""

from toto.exceptions import ERROR_MISSING_PARAMS, TotoException

BAD_PARAMETER = 2001  # a code of this application's own


def fields(parameters):
    """The named parameters: a multipart body keeps them beside its files."""
    if not isinstance(parameters, dict):
        raise TotoException(BAD_PARAMETER, "parameters must be an object with names")
    return parameters["arguments"] if is_multipart(parameters) else parameters


def is_multipart(parameters):
    return set(parameters) == {"arguments", "files"}


def require(parameters, *names):
    missing = sorted(set(names) - set(fields(parameters)))
    if missing:
        raise TotoException(ERROR_MISSING_PARAMS, f"Missing parameters: {', '.join(missing)}")


def number(parameters, name, low, high, default=None, kind=int):
    """One number between low and high; a query or a form carries it as text."""
    if default is None:
        require(parameters, name)
    value = fields(parameters).get(name, default)
    if isinstance(value, list) and len(value) == 1:  # a form has a list for every name
        value = value[0]
    try:
        parsed = kind(str(value))
    except ValueError:
        raise TotoException(BAD_PARAMETER, f"{name} must be a number") from None
    if not low <= parsed <= high:
        raise TotoException(BAD_PARAMETER, f"{name} must be between {low} and {high}")
    return parsed
