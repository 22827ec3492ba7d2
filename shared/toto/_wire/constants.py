"""Numbers both ends of the wire must agree on, and nothing else."""

from enum import IntEnum, IntFlag

PROTOCOL_VERSION = 4
"""First element of every header frame; a peer with another version is refused at HELLO."""

FRAME_BYTES_MAX = 1024 * 1024
"""No ZeroMQ frame is longer (``MAXMSGSIZE``); longer bodies travel in chunks."""

BODY_CHUNK_BYTES = 256 * 1024
"""A body is cut into frames of this size: a long frame would hold up the heartbeats behind it
(libzmq#2709)."""

STREAM_CHUNK_BYTES = 64 * 1024
"""A streamed item is cut into frames of this size."""

STREAM_WINDOW_BYTES = 256 * 1024
"""What a worker may stream before the gateway has passed it on to the client (contract 6)."""

ITEM_KEY_LENGTH_MAX = 128
"""Characters of the name that a method gives to an item of its stream."""

STREAM_PIECE_BYTES = 256
"""What each piece costs of the window beyond its length: a million items of one byte would
otherwise fit into it, and each is an object on its way."""

RESPONSE_BYTES_MAX = 64 * 1024 * 1024
"""The largest unary answer a gateway will hold in memory; longer ones must be streamed."""

METHOD_NAME_LENGTH_MAX = 128
"""Characters in a method name (contract 1)."""

NESTING_MAX = 8
"""Calls of methods by methods, one within the other."""

EVENT_NAME_LENGTH_MAX = 128
"""Characters in the name of an event."""

EVENT_NAMES_MAX = 100_000
"""Names that one worker may have handlers for."""

EVENT_NAMES_AT_ONCE = 1000
"""Names in one message: at most 515 bytes each."""

EVENT_BYTES_MAX = 512 * 1024
"""The arguments of an event, encoded: they travel in one frame."""

BAD_FRAMES_MAX = 10
"""A peer that sends this many undecodable frames is ignored from then on."""


class Kind(IntEnum):
    """What a message is; the second element of every header frame."""

    # worker -> gateway
    HELLO = 1
    READY = 2
    BUSY = 3
    GRANT = 4
    RESULT = 5
    ITEM = 6
    BOUNCE = 7
    BYE = 8
    ASK = 9
    ASK_PART = 10
    WITHDRAW = 11
    SUBSCRIBE = 12
    PUBLISH = 13
    PUSH = 14
    # outside program -> gateway
    ANNOUNCE = 24
    # gateway -> worker
    WELCOME = 32
    CALL = 33
    PART = 34
    CANCEL = 35
    CREDIT = 36
    WANT = 37
    DECLINE = 38
    DRAIN = 39
    PING = 40
    REFUSE = 41
    REPLY = 42
    EVENT = 43
    CLOSING = 44
    MISSED = 45
    # gateway -> outside program
    RECEIPT = 56


class Lane(IntEnum):
    """Which of a worker's two kinds of capacity a call takes."""

    THREAD = 0
    LOOP = 1


LANES = (0, 1)
"""All lanes as plain integers: iterating the enumeration costs the hot path microseconds."""


class Policy(IntFlag):
    """What a method asks of the gateway; workers announce it with each method.

    The first four are about the caller's session.
    """

    NONE = 0
    SESSION = 1
    """It uses the session, so a credential that fails the check fails the call."""
    USER = 2
    """It needs the session of a user: without one the gateway refuses the call."""
    PARAMETER = 4
    """The session id may stand in the parameters."""
    CREATES = 8
    """It gets an anonymous session when there is none."""
    IDEMPOTENT = 16
    """It may be run again when its worker is lost before anything of the answer was sent."""
    INTERNAL = 32
    """Only other methods may call it."""
    RESUMABLE = 64
    """It can go on behind the item that a client of its stream has seen last."""


POLICY_MAX = 127


class Origin(IntEnum):
    """Where the session comes from that a call ended with."""

    OWN = 0
    """The call came with it."""
    MADE = 1
    """The method made it: a login, or an anonymous session."""
    LOADED = 2
    """The method asked for it by another id."""


class Mode(IntEnum):
    """What the payload of an answer holds."""

    ENVELOPE = 0
    """A finished response document in the request's format."""
    RAW = 1
    """Bytes of a content type of the method's own choice."""
    ITEMS = 2
    """Encoded values of a generator, to be framed by the gateway."""
