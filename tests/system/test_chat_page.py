"""The page of the chat example in a real browser, while the gateway under it is killed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from toto_testkit.browser import Tab, open_browser, open_tab
from toto_testkit.chat import ChatApp
from toto_testkit.http import fetch_status
from toto_testkit.waiting import poll_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.timeout(120),  # a browser starts slowly where others work, too
]

LOST = "Connection lost, reconnecting"
OLDER_GONE = "Older messages are not kept any more."
SOME_LOST = "Some messages were lost while the connection was down."
MARKUP = "<img src=x onerror=\"document.title='hacked'\"><b>bold</b> & 'quoted'\nsecond line"
NOTE_STATES = """
addEventListener("DOMContentLoaded", () => {
  const status = document.getElementById("status");
  window.states = [status.textContent];
  const note = () => window.states.push(status.textContent);
  new MutationObserver(note).observe(status, { childList: true });
});
"""


class Chatter:
    """Somebody with the page open."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.page = tab.page

    def shown(self) -> list[str]:
        """Return the texts of all messages on the page."""
        return self.page.get_by_role("log").locator(".text").all_inner_texts()

    def notes(self) -> list[str]:
        """Return what the page says between messages."""
        return self.page.locator(".note").all_inner_texts()

    def states(self) -> list[str]:
        """Return every state of the connection since the page was opened."""
        states = self.page.evaluate("window.states")
        assert isinstance(states, list)
        return states

    def say(self, text: str) -> None:
        """Write a message and send it, again if it could not be sent, until it is on the page."""
        field = self.page.get_by_label("Message", exact=True)
        button = self.page.get_by_role("button", name="Send")
        field.fill(text)

        def is_sent() -> bool:
            if field.input_value() and button.is_enabled():
                field.press("Enter")
            return not field.input_value()

        poll_until(is_sent, 20.0, f"{text} is sent")
        self.wait_for(lambda: self.shown()[-1:] == [text], f"{text} is on the page")

    def wait_for(self, predicate: Callable[[], bool], message: str) -> None:
        """Wait for something on the page; tell what is there if it does not come."""
        try:
            poll_until(predicate, 20.0, message)
        except AssertionError as error:
            error.add_note(f"shown {self.shown()}\nnotes {self.notes()}\nstates {self.states()}")
            error.add_note(f"console {self.tab.complaints}")
            raise

    def wait_shown(self, expected: list[str]) -> None:
        """Wait until exactly these messages are on the page."""
        self.wait_for(lambda: self.shown() == expected, f"{expected} are on the page")

    def stay_away(self) -> None:
        """Stop the page's clock: once it has lost its connection it does not come back."""
        self.page.clock.pause_at(self.page.evaluate("Date.now() / 1000 + 1"))

    def come_back(self) -> None:
        """Let the page's clock go on."""
        self.page.clock.resume()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with open_browser() as started:
        yield started


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatApp]:
    """A chat with two gateway processes; each test has a room of its own."""
    with ChatApp(tmp_path_factory.mktemp("chat")) as started:
        yield started


@contextmanager
def joined(browser: Browser, chat: ChatApp, room: str, name: str) -> Iterator[Chatter]:
    """Open the page of a room in a tab of its own, and wait until it is connected."""
    with open_tab(browser) as tab:
        tab.page.clock.install()
        tab.page.add_init_script(NOTE_STATES)
        tab.page.goto(f"{chat.url}/?{urlencode({'room': room, 'name': name})}")
        chatter = Chatter(tab)
        chatter.wait_for(lambda: chatter.states()[-1] == "Connected", "the page is connected")
        yield chatter


def test_two_tabs_see_what_the_other_writes(browser: Browser, chat: ChatApp) -> None:
    """Both ways, with the names, and the browser has nothing to complain of."""
    with joined(browser, chat, "two", "Ada") as ada, joined(browser, chat, "two", "Bo") as bo:
        ada.say("Hello!")
        bo.wait_shown(["Hello!"])
        bo.say("Hello, Ada!")
        ada.wait_shown(["Hello!", "Hello, Ada!"])

        for chatter in (ada, bo):
            assert chatter.page.locator(".name").all_inner_texts() == ["Ada", "Bo"]
            assert chatter.page.locator(".own .text").count() == 1
            assert chatter.states() == ["Connecting", "Connected"]
            assert chatter.tab.complaints == []


def test_markup_in_a_message_is_text(browser: Browser, chat: ChatApp) -> None:
    """What somebody writes is shown as it is, and does nothing; so is a name."""
    name = "<i>Eve</i>"
    with joined(browser, chat, "eve", name) as eve, joined(browser, chat, "eve", "Bo") as bo:
        eve.page.get_by_label("Message", exact=True).fill(MARKUP)
        eve.page.get_by_role("button", name="Send").click()
        for chatter in (eve, bo):
            chatter.wait_shown([MARKUP])

        assert bo.page.locator(".name").all_inner_texts() == [name]
        assert bo.page.locator(".message :is(img, b, i)").count() == 0
        assert bo.page.title() == "eve - Chat"


def test_the_form_leads_into_a_room(browser: Browser, chat: ChatApp) -> None:
    """Name and room can be typed in; who comes later sees what was said, and only of this room."""
    chat.say("said before", "lobby")
    chat.say("said elsewhere", "other")

    with open_tab(browser, viewport={"width": 360, "height": 640}) as tab:
        page = tab.page
        page.goto(f"{chat.url}/")
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Room", exact=True).fill("lobby")
        assert is_in_width(tab)
        page.get_by_role("button", name="Join").click()
        page.get_by_text("said before").wait_for()

        assert page.get_by_role("heading", name="lobby").is_visible()
        assert page.get_by_text("said elsewhere").count() == 0
        chat.say("w" * 200, "lobby")
        page.get_by_text("w" * 200).wait_for()
        assert is_in_width(tab)
        assert tab.complaints == []


def is_in_width(tab: Tab) -> bool:
    return bool(tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_message_the_server_refuses_is_kept(browser: Browser, chat: ChatApp) -> None:
    """The page says why it was not sent, and what was written is not lost."""
    with joined(browser, chat, "refused", "a" * 41) as ada:
        field = ada.page.get_by_label("Message", exact=True)
        field.fill("Hello!")
        field.press("Enter")

        problem = ada.page.get_by_role("alert")
        problem.wait_for()
        assert problem.inner_text() == "Not sent: name may have 40 characters at most"
        assert field.input_value() == "Hello!"


def test_a_room_the_server_refuses_is_not_asked_for_again(browser: Browser, chat: ChatApp) -> None:
    """The status says what is wrong with it."""
    with open_tab(browser) as tab:
        tab.page.goto(f"{chat.url}/?room=No+Such&name=Ada")
        status = tab.page.get_by_role("status")
        status.get_by_text("room must be a name such as lobby or team-7").wait_for()

        assert status.get_attribute("data-state") == "refused"


def test_killed_gateways_cost_no_message(browser: Browser, chat: ChatApp) -> None:
    """One process after the other is killed while its tab is away: it comes back by itself and
    shows everything once and in order."""
    with joined(browser, chat, "killed", "Ada") as ada, joined(browser, chat, "killed", "Bo") as bo:
        said: list[str] = []
        for victim in sorted(wait_for_gateways(chat, 2)):
            ada.stay_away()
            os.kill(victim, signal.SIGKILL)
            for number in range(3):
                said.append(f"{victim} {number}")
                bo.say(said[-1])
            ada.come_back()
            ada.wait_shown(said)
            ada.say(f"back from {victim}")
            said.append(f"back from {victim}")
            bo.wait_shown(said)
            wait_for_gateways(chat, 2)

        assert LOST in ada.states()
        assert ada.states()[-1] == "Connected"
        assert ada.notes() == bo.notes() == []


def test_messages_that_are_not_kept_are_said_to_be_lost(browser: Browser, tmp_path: Path) -> None:
    """A room is kept for its last few messages only: whoever was away for longer is told so."""
    with ChatApp(tmp_path, arguments=("--event-history", "5")) as chat:
        with joined(browser, chat, "short", "Ada") as ada:
            ada.say("first")
            ada.stay_away()
            for victim in wait_for_gateways(chat, 2):
                os.kill(victim, signal.SIGKILL)
            ada.wait_for(lambda: ada.states()[-1] == LOST, "the connection is lost")
            poll_until(lambda: fetch_status(f"{chat.url}/readyz") == 200, 15.0)
            for number in range(8):
                chat.say(str(number), "short")
            ada.come_back()
            ada.wait_shown(["first", "3", "4", "5", "6", "7"])
            assert ada.notes() == [SOME_LOST]
        with joined(browser, chat, "short", "Bo") as bo:
            bo.wait_shown(["3", "4", "5", "6", "7"])
            assert bo.notes() == [OLDER_GONE]


def test_a_silent_connection_is_given_up(browser: Browser, chat: ChatApp) -> None:
    """A network can die without a word: the page asks, and gets a new connection."""
    with joined(browser, chat, "silent", "Ada") as ada:
        for pid in wait_for_gateways(chat, 2):
            os.kill(pid, signal.SIGSTOP)
        try:
            ada.page.clock.fast_forward("00:21")  # it asks whether anybody is there
            ada.page.clock.fast_forward("00:11")  # and nobody is
            ada.wait_for(lambda: ada.states()[-1] == LOST, "the page has given up")
        finally:
            for pid in chat.gateway_pids():
                os.kill(pid, signal.SIGCONT)
        ada.page.clock.fast_forward("01:00")
        ada.wait_for(lambda: ada.states()[-1] == "Connected", "the page is connected again")
        ada.say("here I am")


def wait_for_gateways(chat: ChatApp, count: int) -> set[int]:
    """Wait until so many gateway processes serve, and return their ids."""
    poll_until(lambda: len(chat.gateway_pids()) == count, 15.0, f"{count} gateways")
    return chat.gateway_pids()
