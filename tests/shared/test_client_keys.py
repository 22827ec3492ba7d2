"""The keys of client tokens: the AES cipher, rotation, and what keys are refused."""

import base64
import hmac
import tomllib
from typing import Any

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from toto._core.client_token import hkdf_sha256, token_key
from toto._core.key_generation import generate_keys_text
from toto.clientsessioncache import AESCipher, ClientCache, make_client_cache

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
OLD, NEW, OTHER = "old-" * 8, "new-" * 8, "other---" * 4
TOTO_KEY = "12345678901234561234567890123456"


def clock() -> float:
    return NOW


def cache_of(cipher_key: Any, hmac_key: Any) -> ClientCache:
    return ClientCache(AESCipher(cipher_key), hmac_key, clock=clock)


CACHE = cache_of("cipher-key-" * 3, OLD)
TOKEN = CACHE.store_session(DATA)


class UnkeyedCipher:
    """A cipher that is not ours, and so has no key that we know."""

    def encrypt(self, data: bytes) -> bytes:
        return data

    def decrypt(self, data: bytes) -> bytes:
        return data


def test_row_06_each_message_is_aes_256_gcm_under_a_key_of_its_own() -> None:
    """Computed here from RFC 5869: salt, 12 bytes of it the nonce, cipher text, tag."""
    sealed = AESCipher("k" * 32).encrypt(b"data")
    salt, tag = sealed[:16], sealed[-16:]
    extracted = hmac.digest(salt, b"k" * 32, "sha256")
    key = hmac.digest(extracted, b"toto client token: AES-256-GCM\x01", "sha256")

    opened = AES.new(key, AES.MODE_GCM, nonce=salt[:12]).decrypt_and_verify(sealed[16:-16], tag)

    assert opened == b"data"
    assert len(key) == 32
    assert len(sealed) == 36


def test_hkdf_is_that_of_the_rfc() -> None:
    """RFC 5869, cases 1 and 3."""
    first = hkdf_sha256(b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42, salt=bytes(range(13)))
    third = hkdf_sha256(b"\x0b" * 22, b"", 42)

    assert first.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert third.hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


@given(data=st.binary(max_size=100))
def test_the_cipher_gives_back_what_it_got(data: bytes) -> None:
    """Any bytes, none included."""
    cipher = AESCipher("k" * 32)

    assert cipher.decrypt(cipher.encrypt(data)) == data


@given(data=st.binary(max_size=100))
def test_the_cipher_refuses_what_it_did_not_make(data: bytes) -> None:
    """Any bytes of someone else are a ValueError, those of another key too."""
    with pytest.raises(ValueError, match=r"too short|MAC check failed"):
        AESCipher("k" * 32).decrypt(data)
    with pytest.raises(ValueError, match="MAC check failed"):
        AESCipher("k" * 32).decrypt(AESCipher("K" * 32).encrypt(data))


@pytest.mark.parametrize("key_bytes", [16, 24, 32])
def test_row_06_totos_key_forms_are_one_cipher(key_bytes: int) -> None:
    """Key and iv apart, or in one piece, as text or bytes, read each other's data; what Toto's own
    cipher made is refused."""
    key, iv = ("k" * 32)[:key_bytes], "0123456789abcdef"
    apart, joined = AESCipher(key, iv), AESCipher((key + iv).encode())
    legacy = AES.new(key.encode(), AES.MODE_CBC, iv=iv.encode()).encrypt(b"old data" * 8)

    assert joined.decrypt(apart.encrypt(b"data")) == b"data"
    assert apart.decrypt(joined.encrypt(b"data")) == b"data"
    with pytest.raises(ValueError, match="MAC check failed"):
        apart.decrypt(legacy)


@pytest.mark.parametrize("arguments", [("k" * 15,), ("k" * 15, "i" * 16), ("k" * 16, "i" * 15)])
def test_weak_cipher_keys_are_refused(arguments: tuple[str, ...]) -> None:
    """Under 128 bits of key, or an iv of another length, there is no cipher."""
    with pytest.raises(ValueError, match="bytes"):
        AESCipher(*arguments)


def test_keys_are_in_no_repr() -> None:
    """What a traceback may show tells no key."""
    key = token_key(b"hmac-secret" * 3, [AESCipher("cipher-secret" * 3)])

    shown = repr([AESCipher("cipher-secret" * 3), key, CACHE, ClientCache(AESCipher(TOTO_KEY))])

    assert "secret" not in shown
    assert TOTO_KEY not in shown
    assert key.key_id.hex() in shown


def test_another_key_reads_nothing() -> None:
    """Neither another hmac key nor another cipher key opens a token."""
    assert cache_of("cipher-key-" * 3, OTHER).load_session(TOKEN) is None
    assert cache_of("another-key-" * 3, OLD).load_session(TOKEN) is None


def test_row_08_keys_rotate() -> None:
    """The first key makes tokens, all read them, and a key taken out reads no more."""
    rotated = cache_of("cipher-key-" * 3, [NEW, OLD])
    renewed = rotated.store_session(DATA)

    assert rotated.load_session(TOKEN) == {**DATA, "session_id": TOKEN}
    assert rotated.load_session(renewed) is not None
    assert cache_of("cipher-key-" * 3, NEW).load_session(renewed) is not None
    assert CACHE.load_session(renewed) is None
    assert cache_of("cipher-key-" * 3, [NEW, OTHER]).load_session(TOKEN) is None


def test_row_08_ciphers_rotate_with_their_keys() -> None:
    """Lists of one length belong together by position; one key goes with all of several ciphers."""
    old, new = AESCipher("cipher-key-" * 3), AESCipher("new-cipher-" * 3)

    both = ClientCache([new, old], [NEW, OLD], clock=clock)
    crossed = ClientCache([old, new], [NEW, OLD], clock=clock)
    ciphers_only = ClientCache([new, old], OLD, clock=clock)

    assert both.load_session(TOKEN) is not None
    assert crossed.load_session(TOKEN) is None
    assert ciphers_only.load_session(TOKEN) is not None
    assert CACHE.load_session(ciphers_only.store_session(DATA)) is None
    with pytest.raises(ValueError, match="as many"):
        ClientCache([new, old], [NEW, OLD, OTHER])
    with pytest.raises(ValueError, match="as many"):
        ClientCache([], OLD)
    with pytest.raises(ValueError, match="as many"):
        ClientCache(new, [])


def test_row_08_the_key_id_does_not_tell_the_key() -> None:
    """It is eight derived bytes, the same in every process, of the hmac key alone."""
    derived = hkdf_sha256(OLD.encode(), b"toto client token: key id", 8)

    assert base64.urlsafe_b64decode(TOKEN[:12])[1:] == derived
    assert cache_of("another-key-" * 3, OLD).store_session(DATA)[:12] == TOKEN[:12]


def test_row_08_short_hmac_keys_are_refused() -> None:
    """Keys of less than 32 bytes need a word for it, and an empty one never passes."""
    cipher = AESCipher("k" * 32)

    with pytest.raises(ValueError, match="32 bytes or more"):
        ClientCache(cipher, "k" * 31)
    with pytest.raises(ValueError, match="32 bytes or more"):
        ClientCache(cipher, ["k" * 32, b"k" * 31])
    with pytest.raises(ValueError, match="1 bytes or more"):
        ClientCache(cipher, "", allow_short_keys=True)
    short = ClientCache(cipher, "k", allow_short_keys=True, clock=clock)
    assert short.load_session(short.store_session(DATA)) is not None


def test_one_argument_is_enough_for_an_aes_cipher() -> None:
    """As in Toto's own test; the hmac key is derived, and is not the cipher's."""
    cache = ClientCache(AESCipher(TOTO_KEY), clock=clock)
    token = cache.store_session(DATA)

    assert ClientCache(AESCipher(TOTO_KEY), clock=clock).load_session(token) is not None
    assert ClientCache(AESCipher(TOTO_KEY), TOTO_KEY, clock=clock).load_session(token) is None
    with pytest.raises(TypeError, match=r"needs an hmac_key, .* of type UnkeyedCipher"):
        ClientCache(UnkeyedCipher())


def test_row_08_session_keys_make_a_cache() -> None:
    """Each key gives both keys; the first makes tokens, all read them."""
    old, rotated = make_client_cache([OLD], clock=clock), make_client_cache([NEW, OLD], clock=clock)
    token = old.store_session(DATA)

    assert rotated.load_session(token) == {**DATA, "session_id": token}
    assert old.load_session(rotated.store_session(DATA)) is None
    assert cache_of(OLD, OLD).load_session(token) is None
    with pytest.raises(ValueError, match="32 bytes or more each"):
        make_client_cache([OLD, "k" * 31])
    with pytest.raises(ValueError, match="as many"):
        make_client_cache([])


def test_generated_keys_are_a_conf_file() -> None:
    """The text is TOML with two new keys; the cluster's pair stands in comments."""
    texts = [generate_keys_text() for _ in range(2)]
    found = [tomllib.loads(text) for text in texts]
    cluster = tomllib.loads(texts[0].replace("# cluster_", "cluster_"))

    assert [set(each) for each in found] == [{"session_keys", "cookie_secret"}] * 2
    assert len({key for each in found for key in each.values()}) == 4
    assert [len(key) for each in found for key in each.values()] == [64] * 4
    assert len(cluster["cluster_public_key"]) == len(cluster["cluster_secret_key"]) == 40
    cache = make_client_cache([found[0]["session_keys"]], clock=clock)
    assert cache.load_session(cache.store_session(DATA)) is not None
