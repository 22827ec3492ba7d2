"""What the option ``event_init_module`` may be, which both commands have."""

from toto._core.settings import SettingsError

__all__ = ["check_event_init_module"]


def check_event_init_module(name: str) -> None:
    """Refuse what cannot be the name of a module; empty is none.

    Raises:
        SettingsError: it cannot.
    """
    if name and not all(part.isidentifier() for part in name.split(".")):
        raise SettingsError(
            f"event_init_module must be a module name such as myapp.on_events, not {name!r}"
        )
