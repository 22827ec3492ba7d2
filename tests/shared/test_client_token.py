"""Client tokens: any other bit ends one, any text at all is survived, time counts."""

import base64
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toto._core.kinds import Secret
from toto.clientsessioncache import AESCipher, ClientCache
from toto.exceptions import TotoException
from toto_gateway.sessions.cookies import SessionCookie

NOW = 1_760_000_000.0
DATA: dict[str, Any] = {
    "session_id": "pX9nQ2vT4kLw7sYbE1uAfg",
    "user_id": "ada@example.com",
    "created": NOW - 5.5,
    "expires": NOW + 60.0,
    "key": "Xk3v0cUW1tJ0i9nQmB7y2aZs5dRfGhLpTeVoNuCxYq8",
    "state": b"\x81\xa1a\x01",
    "generation": 3,
    "token_id": "Yk3v0cUW1tJ0i9nQmB7y2a",
}
OLD = "old-" * 8


def clock() -> float:
    return NOW


def cache_of(cipher_key: Any, hmac_key: Any) -> ClientCache:
    return ClientCache(AESCipher(cipher_key), hmac_key, clock=clock)


CACHE = cache_of("cipher-key-" * 3, OLD)
TOKEN = CACHE.store_session(DATA)
RAW = base64.urlsafe_b64decode(TOKEN + "==="[: -len(TOKEN) % 4])


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class XorCipher:
    """A cipher of an application's own, for tests only."""

    def __init__(self, mask: int) -> None:
        self.mask = mask

    def encrypt(self, data: bytes) -> bytes:
        return bytes(byte ^ self.mask for byte in data)

    def decrypt(self, data: bytes) -> bytes:
        return self.encrypt(data)


class TextCipher(XorCipher):
    """One that returns text, as a cipher written for Python 2 may."""

    def encrypt(self, data: bytes) -> Any:
        return super().encrypt(data).decode("latin-1")

    def decrypt(self, data: bytes) -> Any:
        return super().encrypt(data).decode("latin-1")


class FailingCipher(XorCipher):
    """One that cannot read anything, and says so in its own way."""

    def decrypt(self, data: bytes) -> bytes:
        raise KeyError("no such key")


def test_a_session_comes_back_as_it_went() -> None:
    """All fields are in the token; the id of a loaded session is the token."""
    assert CACHE.load_session(TOKEN) == {**DATA, "session_id": TOKEN}
    assert CACHE.load_session(TOKEN.encode()) == {**DATA, "session_id": TOKEN}
    assert RAW[0] == 1
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_what_toto_stored_is_enough() -> None:
    """A session of the fields that Toto had gets the other ones' defaults, and a name of its own by
    which it can be ended; it needs no id yet."""
    data = {"user_id": "ada", "expires": NOW + 1, "state": b"x"}

    token = CACHE.store_session(data)

    loaded = CACHE.load_session(token)
    assert loaded is not None
    assert len(loaded.pop("token_id")) == 22
    defaults = {"created": 0.0, "key": "", "generation": 0}
    assert loaded == {**data, **defaults, "session_id": token}
    assert CACHE.store_session(data)[:12] == token[:12]


@given(
    user_id=st.none() | st.text(min_size=1, max_size=20),
    created=st.floats(0, NOW),
    state=st.binary(max_size=200),
    generation=st.integers(0, 2**63 - 1),
    token_id=st.text(min_size=1, max_size=20),
)
def test_any_session_comes_back(**fields: Any) -> None:
    """Whatever a session holds, the token holds."""
    data = {**DATA, **fields}
    token = CACHE.store_session(data)

    assert CACHE.load_session(token) == {**data, "session_id": token}


@pytest.mark.parametrize("data", [{}, {**DATA, "expires": None}, {**DATA, "state": [1]}])
def test_what_is_no_session_is_not_stored(data: dict[str, Any]) -> None:
    """A field of the wrong type is an error of the caller."""
    with pytest.raises(ValueError, match="not a session record"):
        CACHE.store_session(data)


def test_row_02_client_token_expiry_is_checked() -> None:
    """A token counts until its time and not from then on."""
    times = iter([NOW, NOW + 59.9, NOW + 60.0, NOW + 1e9])
    cache = ClientCache(AESCipher("cipher-key-" * 3), OLD, clock=lambda: next(times))

    assert [cache.load_session(TOKEN) is not None for _ in range(4)] == [True, True, False, False]


def test_row_02_a_token_that_expires_at_no_time_has_expired() -> None:
    """Nan compares false with any time, and must not last for ever by that."""
    assert CACHE.load_session(CACHE.store_session({**DATA, "expires": float("nan")})) is None


def test_row_03_renewed_tokens_do_not_grow() -> None:
    """After 50 renewals a token is as long as at first: the old one is not inside."""
    data, first = DATA, len(TOKEN)
    for renewal in range(50):
        token = CACHE.store_session({**data, "expires": NOW + 100 + renewal})
        loaded = CACHE.load_session(token)
        assert loaded is not None
        assert abs(len(token) - first) <= 8
        data = loaded

    assert data["user_id"] == "ada@example.com"
    assert data["state"] == DATA["state"]


def test_row_04_a_pickle_in_a_session_stays_bytes(tmp_path: Path) -> None:
    """State that would write a file when unpickled comes back as the bytes it is."""
    trace = tmp_path / "unpickled"
    pickle = f"cos\nsystem\n(S'touch {trace}'\ntR.".encode()
    token = CACHE.store_session({**DATA, "state": pickle})
    loaded = CACHE.load_session(token)

    assert loaded is not None
    assert loaded["state"] == pickle
    assert not trace.exists()


def test_row_04_a_payload_that_is_a_pickle_is_no_session(tmp_path: Path) -> None:
    """Behind a right signature, what Toto put into its tokens is refused and not unpickled."""
    trace = tmp_path / "unpickled"
    pickle = f"cos\nsystem\n(S'touch {trace}'\ntR.".encode()
    signed = RAW[:9] + AESCipher("cipher-key-" * 3).encrypt(pickle)
    token = encoded(signed + hmac.digest(OLD.encode(), signed, "sha256"))

    assert CACHE.load_session(token) is None
    assert not trace.exists()


def test_row_07_the_outer_mac_is_hmac_sha256_over_all_before_it() -> None:
    """Version, key id and encrypted session are under the hmac key."""
    assert RAW[-32:] == hmac.digest(OLD.encode(), RAW[:-32], "sha256")


def test_row_05_07_any_flipped_bit_ends_a_token() -> None:
    """Every single bit of version, key id, salt, cipher text, tag and HMAC counts."""
    for position in range(len(RAW) * 8):
        changed = bytearray(RAW)
        changed[position // 8] ^= 1 << position % 8
        assert CACHE.load_session(encoded(bytes(changed))) is None, position


@given(position=st.integers(0, len(TOKEN) - 1), character=st.characters())
def test_row_07_any_other_character_ends_a_token(position: int, character: str) -> None:
    """Nor are there two spellings of one token: spare bits of base64 count too."""
    other = TOKEN[:position] + character + TOKEN[position + 1 :]

    assert (CACHE.load_session(other) is not None) == (other == TOKEN)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token + "==",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token[:7] + "!" + token[7:],
        lambda token: token[:-1],
        lambda token: token[:-43],
        lambda token: token + token,
        lambda token: token.replace("_", "/").replace("-", "+") + " ",
    ],
)
def test_a_token_has_one_spelling(change: Callable[[str], str]) -> None:
    """Padding, white space and foreign characters make another text of it."""
    assert CACHE.load_session(change(TOKEN)) is None


@given(
    token=st.text(st.characters(exclude_categories=[]))
    | st.binary()
    | st.binary(max_size=300).map(encoded)
    | st.binary(max_size=300).map(lambda data: encoded(RAW[:9] + data))
)
@example(token="")
@example(token="ü\ud800")  # noqa: S106  # no token
@example(token=b"\xff" * 100)
@example(token="A" * 1_000_000)
@example(token=encoded(RAW[:9]))
@example(token=encoded(RAW[:9] + RAW[-32:]))
def test_row_07_any_text_is_no_session_and_no_error(token: str | bytes) -> None:
    """Garbage, and garbage behind the right version and key id, is None."""
    assert CACHE.load_session(token) is None


def test_row_06_the_same_session_is_never_encrypted_the_same() -> None:
    """A thousand tokens of one session share no salt and no cipher text."""
    raws = [base64.urlsafe_b64decode(CACHE.store_session(DATA) + "==") for _ in range(1000)]

    assert len({raw[9:25] for raw in raws}) == 1000
    assert len({raw[25:41] for raw in raws}) == 1000
    assert b"ada@example.com" not in b"".join(raws)


@pytest.mark.parametrize("cipher_class", [XorCipher, TextCipher])
def test_row_07_any_cipher_works(cipher_class: Callable[[int], XorCipher]) -> None:
    """A cipher without a check of its own is protected by the HMAC; text results are coerced."""
    cache = ClientCache(cipher_class(0x5A), OLD, clock=clock)
    token = cache.store_session(DATA)
    raw = base64.urlsafe_b64decode(token + "=="[: -len(token) % 4])

    assert cache.load_session(token) == {**DATA, "session_id": token}
    for position in range(9, len(raw) - 32):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        assert cache.load_session(encoded(changed)) is None
    assert ClientCache(cipher_class(0x5B), OLD, clock=clock).load_session(token) is None


def test_row_07_a_cipher_that_fails_means_no_session() -> None:
    """Whatever an application's cipher raises while it decrypts, the client is just not known."""
    token = ClientCache(XorCipher(1), OLD, clock=clock).store_session(DATA)

    assert ClientCache(FailingCipher(1), OLD, clock=clock).load_session(token) is None


def test_row_03_a_token_that_is_too_long_is_not_made() -> None:
    """The error says how long it would be; the longest that is made fits a signed cookie with a
    domain and a path of 64 characters each."""
    with pytest.raises(TotoException, match="too large for a client session: 4") as raised:
        CACHE.store_session({**DATA, "state": bytes(2900)})
    roomy = ClientCache(AESCipher("k" * 32), OLD, token_length_max=8192, clock=clock)
    token = roomy.store_session({**DATA, "state": bytes(5000)})

    assert raised.value.code == 1000
    assert 3800 < len(token) <= 8192
    assert roomy.load_session(token) is not None
    longest = CACHE.store_session({**DATA, "state": bytes(2670)})
    with pytest.raises(TotoException, match="too large for a client session: 3802"):
        CACHE.store_session({**DATA, "state": bytes(2671)})
    assert len(longest) == 3800
    cookie = SessionCookie(domain="d" * 64, root="p" * 63, secret=Secret("s" * 64))
    _, header = cookie.set_header(longest, expires=NOW + 400 * 86400, now=NOW)
    assert len(header) <= 4096
    assert cookie.read(header.partition(";")[0]) == longest
    assert cookie.session_id_length_max == 3842
    for length in (0, 8193):
        with pytest.raises(ValueError, match="from 1 to 8192"):
            ClientCache(AESCipher("k" * 32), OLD, token_length_max=length)


def test_removing_does_nothing() -> None:
    """A token is not ended here."""
    CACHE.remove_session(TOKEN)

    assert CACHE.load_session(TOKEN) is not None
