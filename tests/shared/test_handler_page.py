"""docs/handler.md and docs/events.md name all that authors of methods are given and can import."""

import importlib
import inspect
import re
from types import ModuleType

import pytest

from toto._core.request import Headers
from toto.events import Event, EventManager, EventPage, EventSubscription
from toto.handler import BatchHandlerProxy, Request, StreamItem, TotoHandler
from toto.server import TotoServer
from toto.tasks import AwaitableInstance, InstancePool, TaskQueue
from toto.testing import Answer, CallOptions, GatewayResponse, RunningGateway
from toto.testing_plugin import GatewayFactory
from toto.worker import TotoWorkerService
from toto_testkit.processes import REPOSITORY

PAGES = tuple(REPOSITORY / "docs" / name for name in ("handler.md", "events.md"))
MODULES = (
    "events",
    "exceptions",
    "handler",
    "invocation",
    "server",
    "tasks",
    "testing",
    "testing_plugin",
    "worker",
)
SECTIONS: dict[str, tuple[type, ...]] = {
    "The handler": (TotoHandler,),
    "The request": (Request,),
    "In a batch": (BatchHandlerProxy,),
    "Tasks and pools": (TaskQueue, InstancePool, AwaitableInstance),
    "Events": (EventManager, Event, EventPage, EventSubscription),
    "Streams of events": (EventSubscription,),
    "Named items": (StreamItem,),
    "Start-up scripts": (TotoServer, TotoWorkerService),
    "Tests": (Answer, CallOptions, GatewayFactory, GatewayResponse, RunningGateway),
}
MEMBERS = [(section, kind) for section, kinds in SECTIONS.items() for kind in kinds]
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(r"^ +self\.(\w+)(?:: [^=\n]+)? =", re.MULTILINE)


def names_in_code(text: str) -> set[str]:
    """Return the words that stand in backticks."""
    return {
        word
        for code in re.findall(r"`([^`]+)`", _FENCED.sub("", text))
        for word in re.findall(r"\w+", code)
    }


def section(heading: str) -> str:
    """Return what stands below a heading, with the headings below that one."""
    # Comments in snippets look like headings; blanks in their place keep the positions.
    for page in PAGES:
        text = page.read_text()
        blanked = _FENCED.sub(lambda block: " " * len(block[0]), text)
        headings = list(_HEADING.finditer(blanked))
        found = next((each for each in headings if each[2] == heading), None)
        if found is not None:
            break
    else:
        raise LookupError(heading)
    later = (each for each in headings if each.start() > found.start())
    end = next((each for each in later if len(each[1]) <= len(found[1])), None)
    return text[found.end() : end.start() if end else None]


def members_of(kind: type) -> set[str]:
    """Return the public attributes of a class: its own, inherited, and those its init makes."""
    names = {name for each in kind.__mro__[:-1] for name in vars(each)}
    names |= set(getattr(kind, "__annotations__", ()))
    initialiser = vars(kind).get("__init__")
    if inspect.isfunction(initialiser) and not hasattr(kind, "__dataclass_fields__"):
        names |= set(_ATTRIBUTE.findall(inspect.getsource(initialiser)))
    if issubclass(kind, dict):  # a TypedDict: its methods are those of all dictionaries
        names = set(kind.__annotations__)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_a_module_is_told(name: str) -> None:
    """Nothing can be imported that the pages do not mention."""
    module: ModuleType = importlib.import_module(f"toto.{name}")
    public = set(module.__all__)

    told = set().union(*(names_in_code(page.read_text()) for page in PAGES))

    assert public - told == set()
    assert public


@pytest.mark.parametrize(("heading", "kind"), MEMBERS)
def test_every_public_member_is_told_in_its_section(heading: str, kind: type) -> None:
    """Attributes, properties, methods and class methods."""
    assert members_of(kind) - names_in_code(section(heading)) == set()


def test_members_are_found() -> None:
    """Of every kind there is: set by the class, by its base and by its init."""
    handler = members_of(TotoHandler)

    assert {"deadline", "session", "respond", "set_hmac_handler", "call_hooks"} <= handler
    assert members_of(Request) >= {"verb", "path", "method"}
    assert members_of(TaskQueue) >= {"thread_count", "idle_timeout", "instance"}
    assert members_of(GatewayFactory) == {"started"}
    assert members_of(RunningGateway) >= {"port", "url", "call"}
    assert members_of(CallOptions) >= {"verb", "raises"}


def test_no_member_of_the_handler_is_told_twice() -> None:
    """docs/methods.md leaves the tables to this page."""
    first_cells = re.findall(r"^\| `(\w+)", (REPOSITORY / "docs" / "methods.md").read_text(), re.M)

    assert set(first_cells) & members_of(TotoHandler) == set()


def test_the_headers_are_a_mapping_and_nothing_else() -> None:
    """So that the page need not tell their methods."""
    assert members_of(Headers) - set(dir(dict)) == set()


def test_each_decorator_has_an_example() -> None:
    """It stands in a snippet."""
    from toto import invocation

    snippets = "\n".join(block for page in PAGES for block in _FENCED.findall(page.read_text()))
    own = [
        name
        for name in invocation.__all__
        if getattr(getattr(invocation, name), "__module__", "") == invocation.__name__
    ]

    assert len(own) == 14
    assert [name for name in own if not re.search(rf"^@{name}\b", snippets, re.M)] == []
