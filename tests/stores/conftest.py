"""Every store in turn, for the tests of what all of them promise."""

import secrets
from collections.abc import Iterator
from contextlib import closing

import pytest

from toto._core.stores.store import Database
from toto_testkit.stores import STORE_NAMES, OpenedStore, open_database, store_settings


@pytest.fixture(scope="module", params=STORE_NAMES)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenedStore]:
    """Open each store, for all tests of this module; they keep apart by user and session id."""
    directory = tmp_path_factory.mktemp("store")
    with (
        store_settings(request.param, directory) as settings,
        closing(open_database(settings)) as database,
    ):
        yield OpenedStore(database, settings)


@pytest.fixture
def store(opened: OpenedStore) -> Database:
    """The store itself."""
    return opened.database


@pytest.fixture
def user() -> str:
    """A user id of the test's own."""
    return f"user-{secrets.token_hex(8)}"
