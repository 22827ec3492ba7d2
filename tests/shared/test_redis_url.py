"""Which Redis a URL means, and that no error shows its password."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core.kinds import Secret, SettingsError
from toto._core.stores.redis_url import (
    Address,
    RedisTarget,
    TlsOptions,
    parse_redis_url,
    redis_target,
)
from toto._core.stores.settings import StoreSettings

PASSWORD = "s3cr3tPassw0rd"  # noqa: S105  # nobody's
ONE = (Address("h", 1),)
TLS = TlsOptions()

TARGETS = {
    "redis://": RedisTarget("server", (Address("localhost", 6379),)),
    "redis://h": RedisTarget("server", (Address("h", 6379),)),
    "redis://h:1": RedisTarget("server", ONE),
    "REDIS://h:1/": RedisTarget("server", ONE),
    "redis://h:1/5": RedisTarget("server", ONE, database=5),
    "redis://h:1?db=6": RedisTarget("server", ONE, database=6),
    "redis://h:1/5?db=6": RedisTarget("server", ONE, database=6),
    "redis://[::1]:1": RedisTarget("server", (Address("::1", 1),)),
    "redis://:pw@h:1": RedisTarget("server", ONE, password=Secret("pw")),
    "redis://u:p%40%2F%3A%23@h:1": RedisTarget(
        "server", ONE, username="u", password=Secret("p@/:#")
    ),
    "redis://h:1?username=u&password=p+w%25": RedisTarget(
        "server", ONE, username="u", password=Secret("p w%")
    ),
    "rediss://u:pw@h:1/2": RedisTarget(
        "server", ONE, database=2, username="u", password=Secret("pw"), tls=TLS
    ),
    "rediss://h:1?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k": RedisTarget(
        "server", ONE, tls=TlsOptions("/ca", "/c", "/k")
    ),
    "rediss://h:1?ssl_check_hostname=false": RedisTarget(
        "server", ONE, tls=TlsOptions(check_hostname=False)
    ),
    "rediss://h:1?ssl_cert_reqs=none": RedisTarget(
        "server", ONE, tls=TlsOptions(verification="none", check_hostname=False)
    ),
    "unix:///run/redis.sock": RedisTarget("unix", (), path="/run/redis.sock"),
    "unix://u:pw@/run/a%20b.sock?db=3": RedisTarget(
        "unix", (), path="/run/a b.sock", database=3, username="u", password=Secret("pw")
    ),
    "redis+sentinel://h/main": RedisTarget("sentinel", (Address("h", 26379),), service="main"),
    "redis+sentinel://u:pw@h:1,[::2]:2/my%20main/7?sentinel_password=sp": RedisTarget(
        "sentinel",
        (Address("h", 1), Address("::2", 2)),
        service="my main",
        database=7,
        username="u",
        password=Secret("pw"),
        sentinel_password=Secret("sp"),
    ),
    "rediss+sentinel://h:1/main": RedisTarget("sentinel", ONE, service="main", tls=TLS),
    "redis+cluster://:pw@h:1,g": RedisTarget(
        "cluster", (Address("h", 1), Address("g", 6379)), password=Secret("pw")
    ),
    "rediss+cluster://h:1/0": RedisTarget("cluster", ONE, tls=TLS),
}
REFUSED = [
    "",
    "h:1",
    "http://h",
    "redis:/h",
    "redis+unix://h",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:999999999999999999999",
    "redis://h:\u0661",
    "redis://h:1:2",
    "redis://h h",
    "redis://h\n",
    "redis://a,b",
    "redis://::1",
    "redis://h:1/x",
    "redis://h:1/-1",
    "redis://h:1/1000001",
    "redis://h:1/\u0661",
    "redis://h:1#0",
    "redis://h:1?decode_responses=true",
    "redis://h:1?socket_timeout=100",
    "redis://h:1?db=1&db=2",
    "redis://h:1?ssl_ca_certs=/ca",
    "redis://h:1?sentinel_password=x",
    "redis://u@h:1",
    "redis://:%ff@h:1",
    "rediss://h:1?ssl_cert_reqs=maybe",
    "rediss://h:1?ssl_check_hostname=maybe",
    "unix://",
    "unix://h/run/redis.sock",
    "redis+sentinel://h:1",
    "redis+sentinel://h:1/",
    "redis+sentinel:///main",
    "redis+sentinel://h:1,/main",
    "redis+sentinel://h:1/main?sentinel_username=u",
    "redis+cluster://",
    "redis+cluster://h:1/1",
]
HIDDEN_BADLY = [
    f"redis://:{PASSWORD}@h:port",
    f"redis://:{PASSWORD}/x@h:1",
    f"redis://:a?{PASSWORD}=1@h:1",
    f"redis://:a#{PASSWORD}@h:1",
    f"redis://:a@{PASSWORD}@h:x",
    f"redis://h:{PASSWORD}",
    f"redis://h/{PASSWORD}",
    f"redis://h?{PASSWORD}",
    f"redis://h?password={PASSWORD}&x=1",
    f"{PASSWORD}://h",
    f"redis://[{PASSWORD}]:1",
    f"redis://\u2100{PASSWORD}@h:1/x",
    f"rediss://h?ssl_cert_reqs={PASSWORD}",
    f"redis+sentinel://:{PASSWORD}@h",
]


@pytest.mark.parametrize("url", TARGETS)
def test_url_is_understood(url: str) -> None:
    """Each form names its target."""
    assert parse_redis_url(url) == TARGETS[url]


@pytest.mark.parametrize("url", REFUSED)
def test_url_is_refused(url: str) -> None:
    """What is not one of the forms is a settings error that says so."""
    with pytest.raises(SettingsError, match=r"^redis_url is refused: .*; it must be redis://"):
        parse_redis_url(url)


@pytest.mark.parametrize("url", HIDDEN_BADLY)
def test_refusal_hides_the_url(url: str) -> None:
    """Wherever a password has slipped to, neither the error nor its traceback shows it."""
    with pytest.raises(SettingsError) as caught:
        parse_redis_url(url)

    assert PASSWORD not in str(caught.value)
    shown = traceback.format_exception_only(caught.value)
    cause = caught.value.__cause__
    assert caught.value.__suppress_context__
    assert cause is None
    assert PASSWORD not in "".join(shown)


def test_target_hides_passwords() -> None:
    """Neither the repr nor the text of a target shows its passwords."""
    target = parse_redis_url(f"redis+sentinel://u:{PASSWORD}@h:1/main?sentinel_password={PASSWORD}")

    assert target.password.reveal() == PASSWORD
    assert PASSWORD not in repr(target) + str(target)
    assert str(target) == "Redis 'main' of the sentinels h:1"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://:pw@h:1/3", "Redis at h:1"),
        ("redis://[::1]:1", "Redis at [::1]:1"),
        ("unix:///run/redis.sock", "Redis at /run/redis.sock"),
        ("redis+cluster://h:1,g:2", "Redis cluster at h:1,g:2"),
    ],
)
def test_target_says_where(url: str, text: str) -> None:
    """The text for the log names the place and nothing else."""
    assert str(parse_redis_url(url)) == text


def test_settings_without_url() -> None:
    """Without redis_url the target is db_host, db_port and redis_database."""
    settings = StoreSettings(database="redis", db_host="r.example", redis_database=4)

    assert redis_target(settings) == RedisTarget(
        "server", (Address("r.example", 6379),), database=4
    )
    assert redis_target(StoreSettings(db_port=7)).addresses == (Address("localhost", 7),)


def test_url_goes_before_the_other_settings() -> None:
    """Of the other settings only redis_database counts, for a URL without one."""
    url = Secret("redis://h:1")
    settings = StoreSettings(redis_url=url, db_host="x", db_port=9, redis_database=4)

    assert redis_target(settings) == RedisTarget("server", ONE, database=4)
    with_database = StoreSettings(redis_url=Secret("redis://h:1/0"), redis_database=4)
    assert redis_target(with_database).database == 0


URL_TEXT = st.text(st.sampled_from("redis+nuxl:/@?#&=%[],.0159 \u00e9\ud800"), max_size=40)


@given(
    start=st.sampled_from(["redis://", "rediss+sentinel://", "redis+cluster://", "unix://", ""]),
    before=URL_TEXT,
    after=URL_TEXT | st.text(max_size=20),
)
def test_any_text_is_a_target_or_an_error_without_the_password(
    start: str, before: str, after: str
) -> None:
    """Whatever surrounds a password, the only error is a settings error that does not show it."""
    try:
        target = parse_redis_url(f"{start}{before}:{PASSWORD}{after}")
    except SettingsError as error:
        assert PASSWORD not in str(error)
    else:
        assert PASSWORD not in repr(target.password)
