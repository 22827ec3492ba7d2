"""All WebSockets of a gateway process."""

import logging

from tornado.iostream import IOStream

from toto._core.failure import Failure
from toto._core.logs import REQUEST_ID
from toto_gateway.request import Request
from toto_gateway.websocket.connection import SocketConnection, SocketTimes
from toto_gateway.websocket.conversation import Conversation, SocketServices
from toto_gateway.websocket.upgrade import Refusal, Upgrade, UpgradePolicy

__all__ = ["SocketEndpoint"]

_log = logging.getLogger("toto.gateway")


class SocketEndpoint:
    """Opens sockets and serves them.

    Args:
        policy: says which.
        services: what they share.
        times: limits.
    """

    def __init__(
        self, policy: UpgradePolicy, services: SocketServices, times: SocketTimes | None = None
    ) -> None:
        self._policy = policy
        self._services = services
        self._times = times or SocketTimes()
        self._conversations: set[Conversation] = set()
        self._is_draining = False

    def is_about(self, verb: str, uri: str) -> bool:
        """Tell whether a request is for a WebSocket.

        One with another verb is told what is wrong with it, and not taken for a call: its path may
        hold a session id, which must not be logged.
        """
        return verb != "OPTIONS" and self._policy.is_about(uri)

    def judge(self, request: Request, *, is_http11: bool, has_body: bool) -> Upgrade | Refusal:
        """Return the socket to open, or why not.

        Args:
            request: is for a WebSocket.
            is_http11: it is one of HTTP/1.1.
            has_body: it announces a body, which would be in the way of frames.
        """
        if has_body:
            return Refusal(Failure.malformed("a request for a WebSocket has no body"))
        judgement = self._policy.judge(request, is_http11=is_http11 and request.verb == "GET")
        if self._is_draining and isinstance(judgement, Upgrade):
            return Refusal(Failure.draining())
        return judgement

    async def serve(self, upgrade: Upgrade, stream: IOStream) -> None:
        """Serve a socket until its client has gone, or this is cancelled."""
        REQUEST_ID.set(upgrade.handshake.shown.request_id)
        connection = SocketConnection(stream, upgrade.protocol, upgrade.response, times=self._times)
        conversation = Conversation(self._services, upgrade.handshake, connection)
        self._conversations.add(conversation)
        if self._is_draining:
            conversation.drain()
        try:
            await connection.run(conversation)
        except Exception:  # noqa: BLE001  # the edge: one socket, and no other
            _log.exception("a WebSocket failed")
        finally:
            self._conversations.discard(conversation)
            stream.close()

    def drain(self) -> None:
        """Have all sockets end: those with calls under way when these have ended."""
        self._is_draining = True
        for conversation in tuple(self._conversations):
            conversation.drain()
