"""The accounts and sessions of a test's call: a database in memory, and who calls."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toto._core.request_signatures import RequestSignatures
from toto._core.settings import load
from toto._core.stores.memory_database import open_memory_database
from toto._core.stores.record import pack
from toto._core.stores.settings import StoreSettings
from toto._core.stores.user_ids import normalise_user_id
from toto._wire.constants import Origin
from toto._wire.messages import Head, SessionAnswer, SessionInfo
from toto.dbconnection import DBConnection
from toto.exceptions import ERROR_INVALID_USER_ID, TotoException
from toto.session import TotoSession, apply_changes
from toto_worker.sessions import SessionServices

__all__ = ["LocalSessions"]

NO_PASSWORD = "-"  # noqa: S105  # what no password is hashed to
Accounts = Mapping[str, str | Mapping[str, Any]]


class LocalSessions:
    """What a test says of users, as stores.

    Args:
        session: of whoever calls: variables, with ``user_id`` among them; a session that an earlier
            answer gave, whose accounts and sessions are there again; or None.
        accounts: passwords by user id, or properties with ``password`` among them.
        settings: options about accounts and sessions.
    """

    def __init__(
        self,
        session: Mapping[str, Any] | TotoSession | None,
        accounts: Accounts,
        settings: Mapping[str, Any],
    ) -> None:
        chosen = load(StoreSettings, keywords={"database": "none", **settings}).settings
        connection = session._db if isinstance(session, TotoSession) else None
        if not isinstance(connection, DBConnection):
            connection = DBConnection(open_memory_database(), chosen)
        self.connection = connection
        self.services = SessionServices(connection, RequestSignatures.of(chosen))
        for user_id, account in accounts.items():
            self._add_account(user_id, account)
        if isinstance(session, TotoSession):
            self._given_id = session.session_id
        else:
            self._given_id = "" if session is None else self._make(dict(session))

    def info(self) -> SessionInfo:
        """Return the caller's session as a gateway sends it along."""
        record = self.connection.load_record(self._given_id)
        return SessionInfo() if record is None else SessionInfo(self._given_id, pack(record))

    def after(self, head: Head) -> TotoSession | None:
        """Return the client's session after the call; of a member of a batch its changes are saved
        first.

        Args:
            head: the answer's.
        """
        answer = head.session
        if answer is not None and answer.origin == Origin.OWN and answer.changes:
            self._apply(answer)
        given_id = "" if head.is_session_ended else self._given_id
        record = self.connection.load_record(given_id if answer is None else answer.session_id)
        return None if record is None else self.connection.adopt(record)

    def _apply(self, answer: SessionAnswer) -> None:
        record = self.connection.load_record(answer.session_id)
        if record is not None:
            state = apply_changes(record.state, [answer.changes])
            self.connection.update_record(replace(record, state=state, expires=answer.expires))

    def _add_account(self, user_id: str, account: str | Mapping[str, Any]) -> None:
        values = {"password": account} if isinstance(account, str) else dict(account)
        password = values.pop("password", "")
        if password:
            self.connection.create_account(user_id, password, values)
        else:
            self._add_without_password(user_id, values)

    def _add_without_password(self, user_id: str, values: Mapping[str, Any]) -> None:
        # Hashing one takes 30 ms, and most tests log nobody in.
        name = normalise_user_id(user_id)
        if name is None:
            raise TotoException(ERROR_INVALID_USER_ID, "Invalid user ID.")
        self.connection.accounts.create(name, NO_PASSWORD, values)

    def _make(self, variables: dict[str, Any]) -> str:
        user_id = variables.pop("user_id", None)
        if user_id:
            self._add_without_password(user_id, {})
        session = self.connection.create_session(user_id, verify_password=False)
        if variables:
            session.state = variables
            session.save()
        return session.session_id
