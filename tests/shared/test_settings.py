"""Options: kinds of values, precedence, sources, and what is said of a mistake."""

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core import kinds
from toto._core.settings import (
    Loaded,
    Secret,
    SettingsError,
    as_environment,
    describe,
    load,
    option,
    options_of,
)
from toto._core.stores.settings import StoreSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Inherited options."""

    verbose: bool = option(False, kind=kinds.flag(), help="Say more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Base):
    """One option of each kind."""

    port: int = option(8888, kind=kinds.integer(0, 65535), help="Port.", unit="ports")
    host: str = option("", kind=kinds.text(), help="Host.", default_help="chosen at start")
    mode: str = option("both", kind=kinds.choice("both", "url"), help="Mode.")
    timeout: float = option(30.0, kind=kinds.duration(minimum_seconds=0.001), help="Time.")
    max_body: int = option(2 * 2**20, kind=kinds.size(1, 2**40), help="Size.")
    peers: tuple[str, ...] = option((), kind=kinds.names(), help="Peers.")
    key: Secret = option(Secret(""), kind=kinds.secret(), help="Key.")


def sentence(**arguments: Any) -> str:
    """Return what ``load`` says when it refuses."""
    with pytest.raises(SettingsError) as refusal:
        load(Sample, **arguments)
    return str(refusal.value)


def conf(folder: Path, text: str) -> Path:
    path = folder / "gw.conf"
    path.write_text(text)
    return path


def test_defaults() -> None:
    """Without any source the defaults stand, and say so."""
    loaded = load(Sample)

    assert loaded.settings == Sample()
    assert loaded.settings.port == 8888
    assert set(loaded.sources.values()) == {"default"}


def test_keyword_beats_default() -> None:
    """A keyword argument replaces the default."""
    loaded = load(Sample, keywords={"port": 1})

    assert (loaded.settings.port, loaded.sources["port"]) == (1, "keyword argument port")


def test_conf_file_beats_keyword(tmp_path: Path) -> None:
    """A conf file replaces a keyword argument."""
    path = conf(tmp_path, "port = 2")

    loaded = load(Sample, keywords={"port": 1}, conf_path=path)

    assert (loaded.settings.port, loaded.sources["port"]) == (2, f"{path}: port")


def test_environment_beats_conf_file(tmp_path: Path) -> None:
    """An environment variable replaces the conf file's value."""
    loaded = load(Sample, conf_path=conf(tmp_path, "port = 2"), environment={"TOTO_PORT": "3"})

    assert loaded.settings.port == 3
    assert loaded.sources["port"] == "environment variable TOTO_PORT"


def test_command_line_beats_environment() -> None:
    """An option on the command line replaces the environment's value."""
    loaded = load(Sample, environment={"TOTO_PORT": "3"}, command_line={"port": "4"})

    assert (loaded.settings.port, loaded.sources["port"]) == (4, "option --port")


def test_sources_mix() -> None:
    """Each option takes its own strongest source."""
    loaded = load(
        Sample,
        keywords={"host": "a", "mode": "url"},
        environment={"TOTO_HOST": "b"},
        command_line={"max_body": "1KiB"},
    )

    assert (loaded.settings.host, loaded.settings.mode) == ("b", "url")
    assert loaded.settings.max_body == 1024


def test_value_is_refused_with_its_source(tmp_path: Path) -> None:
    """A refused value is named with the place it came from and what is expected there."""
    path = conf(tmp_path, "port = 'x'")
    expected = "must be an integer from 0 to 65535"

    assert sentence(keywords={"port": 70000}) == f"keyword argument port is 70000, but {expected}"
    assert sentence(conf_path=path) == f"{path}: port is 'x', but {expected}"
    assert (
        sentence(environment={"TOTO_PORT": ""})
        == f"environment variable TOTO_PORT is '', but {expected}"
    )
    assert sentence(command_line={"port": "-1"}) == f"option --port is '-1', but {expected}"


def test_overridden_value_is_still_validated() -> None:
    """A bad value is an error even where a stronger source replaces it."""
    said = sentence(environment={"TOTO_PORT": "x"}, command_line={"port": "1"})

    assert said.startswith("environment variable TOTO_PORT is 'x'")


def test_conf_file_is_named_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conf file given by a relative name is named so."""
    conf(tmp_path, "port = -1")
    monkeypatch.chdir(tmp_path)

    assert sentence(conf_path="gw.conf").startswith("gw.conf: port is -1, but must be")


def test_unknown_option_suggests_the_nearest(tmp_path: Path) -> None:
    """An unknown option in code or in a conf file is an error that names a near one."""
    path = conf(tmp_path, "max-body = 1")

    assert sentence(keywords={"prot": 1}) == (
        "keyword argument prot is not an option; did you mean port?"
    )
    assert sentence(conf_path=path) == (
        f"{path}: 'max-body' is not an option; did you mean max_body?"
    )
    assert sentence(keywords={"zzzzzz": 1}) == "keyword argument zzzzzz is not an option"


def test_options_are_listed_own_first() -> None:
    """Inherited options come after the class's own."""
    names = [entry.name for entry in options_of(Sample)]

    assert names == ["port", "host", "mode", "timeout", "max_body", "peers", "key", "verbose"]


def test_option_names() -> None:
    """One name gives the option's spelling in every place."""
    entry = options_of(Sample)[4]

    assert (entry.name, entry.command_line_name) == ("max_body", "--max-body")
    assert (entry.environment_name, entry.default_text) == ("TOTO_MAX_BODY", "2MiB")


def test_describe_masks_secrets() -> None:
    """Every option is listed as a conf file holds it, secrets masked."""
    loaded = load(Sample, keywords={"key": "hunter2", "peers": ["a", "b"], "verbose": True})

    assert describe(loaded) == [
        ("port", "8888", "default"),
        ("host", '""', "default: chosen at start"),
        ("mode", '"both"', "default"),
        ("timeout", '"30s"', "default"),
        ("max_body", '"2MiB"', "default"),
        ("peers", '"a,b"', "keyword argument peers"),
        ("key", '"********"', "keyword argument key"),
        ("verbose", "true", "keyword argument verbose"),
    ]


def test_described_values_read_back(tmp_path: Path) -> None:
    """The listing is a conf file that gives the same settings."""
    loaded = load(
        Sample,
        keywords={"host": 'a"\\\n# é', "timeout": 0.5, "peers": ("a", "b"), "max_body": 1000},
    )
    lines = [f"{name} = {value}  # {source}" for name, value, source in describe(loaded)]

    again = load(Sample, conf_path=conf(tmp_path, "\n".join(lines)))

    assert again.settings == loaded.settings


def test_settings_and_sources_are_frozen() -> None:
    """Neither the settings nor the record of their sources can be changed."""
    loaded: Loaded[Sample] = load(Sample)

    with pytest.raises(FrozenInstanceError):
        loaded.settings.port = 1  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        loaded.sources["port"] = "x"  # type: ignore[index]  # the point of the test


def test_secret_never_shows() -> None:
    """A secret shows in no text form, and a refused one is not repeated."""
    key = Secret("hunter2")

    assert (str(key), repr(key), f"{key}") == ("********", "Secret('********')", "********")
    assert "hunter2" not in repr(Sample(key=key))
    assert key.reveal() == "hunter2"
    assert sentence(keywords={"key": ["hunter2"]}) == "keyword argument key must be text"


def test_secret_compares_by_its_text() -> None:
    """Equal texts are equal secrets; an empty one is false."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert (bool(Secret("a")), bool(Secret("")), str(Secret(""))) == (True, False, "")
    assert kinds.secret().parse(Secret("a")) == Secret("a")


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        (kinds.text(), "a b", "a b"),
        (kinds.integer(-5, 5), "-5", -5),
        (kinds.integer(0, 5), 5, 5),
        (kinds.integer(1, 8, automatic=lambda: 4), "auto", 4),
        (kinds.integer(1, 8, automatic=lambda: 99), "auto", 8),
        (kinds.flag(), True, True),
        (kinds.flag(), 0, False),
        (kinds.flag(), "Yes", True),
        (kinds.flag(), "off", False),
        (kinds.choice("a", "b"), "b", "b"),
        (kinds.duration(), 30, 30.0),
        (kinds.duration(), "30", 30.0),
        (kinds.duration(), "30s", 30.0),
        (kinds.duration(), "5m", 300.0),
        (kinds.duration(), "500ms", 0.5),
        (kinds.duration(), "1h", 3600.0),
        (kinds.duration(), "1.5 h", 5400.0),
        (kinds.duration(), 0.25, 0.25),
        (kinds.duration(), "7ms", 0.007),
        (kinds.size(0, 2**40), "2MiB", 2097152),
        (kinds.size(0, 2**40), "512KiB", 524288),
        (kinds.size(0, 2**40), "1GiB", 1073741824),
        (kinds.size(0, 2**40), "1048576", 1048576),
        (kinds.size(0, 2**40), 1048576, 1048576),
        (kinds.size(0, 2**40), "2MB", 2000000),
        (kinds.size(0, 2**40), "3 kB", 3000),
        (kinds.size(0, 2**40), "1GB", 1000000000),
        (kinds.size(0, 2**40), "7B", 7),
        (kinds.size(0, 2**40), "1.5KiB", 1536),
        (kinds.names(), "a, b,", ("a", "b")),
        (kinds.names(), ["a", "b,c"], ("a", "b", "c")),
        (kinds.names(), "", ()),
        (kinds.path(), "a/b", Path("a/b")),
        (kinds.path(), Path("a"), Path("a")),
        (kinds.secret(), "x", Secret("x")),
    ],
)
def test_kind_accepts(kind: kinds.Kind[Any], given_value: object, expected: object) -> None:
    """A kind makes one type of value from text and from values of code."""
    value = kind.parse(given_value)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        (kinds.text(), 1, "text"),
        (kinds.text(), "a\0", "text"),
        (kinds.text(), "\udc80", "text"),
        (kinds.integer(0, 5), "6", "an integer from 0 to 5"),
        (kinds.integer(0, 5), "1_0", "an integer from 0 to 5"),
        (kinds.integer(0, 5), True, "an integer from 0 to 5"),
        (kinds.integer(0, 5), 1.0, "an integer from 0 to 5"),
        (kinds.integer(0, 5), "auto", "an integer from 0 to 5"),
        (kinds.integer(1, 5, automatic=lambda: 2), "x", "an integer from 1 to 5, or auto"),
        (kinds.flag(), "maybe", "true or false"),
        (kinds.flag(), 2, "true or false"),
        (kinds.flag(), 1.0, "true or false"),
        (kinds.choice("a", "b"), "c", "one of a, b"),
        (kinds.choice("a", "b"), ["a"], "one of a, b"),
        (kinds.path(), "", "a path"),
        (kinds.path(), 1, "a path"),
        (kinds.names(), [1], "names separated by commas, or a list of names"),
    ],
)
def test_kind_refuses(kind: kinds.Kind[Any], given_value: object, expected: str) -> None:
    """A kind says what it expects instead of what it got."""
    with pytest.raises(SettingsError) as refusal:
        kind.read(given_value, "option --x")

    assert str(refusal.value) == f"option --x is {given_value!r}, but must be {expected}"


@pytest.mark.parametrize(
    "value", ["", "5d", "1e3", "-1", -1, True, None, float("nan"), float("inf"), 10**400, "9" * 99]
)
def test_duration_and_size_refuse(value: object) -> None:
    """What is no quantity, or out of range, is neither a duration nor a size."""
    with pytest.raises(SettingsError, match="from 0s to 8760h, such as 500ms, 30s or 5m"):
        kinds.duration().read(value, "option --x")
    with pytest.raises(SettingsError, match="from 0B to 1KiB, such as 512KiB or 2MiB"):
        kinds.size(0, 1024).read(value, "option --x")


def test_size_refuses_part_of_a_byte() -> None:
    """A size is a whole number of bytes."""
    with pytest.raises(SettingsError):
        kinds.size(0, 1024).read("0.5", "option --x")


def test_long_value_is_cut_in_the_sentence() -> None:
    """A refused value is repeated only in part when it is long."""
    assert len(sentence(keywords={"port": "9" * 10_000})) < 200
    assert "is too large a value, but" in sentence(keywords={"port": 10**5000})


@given(st.floats(0, 8760 * 3600))
def test_duration_round_trip(seconds: float) -> None:
    """A duration reads back as it is shown."""
    kind = kinds.duration()
    value = kind.parse(seconds)

    assert abs(value - seconds) <= 1e-6
    assert kind.parse(kind.show(value)) == value


@given(st.integers(0, 2**40))
def test_size_round_trip(number: int) -> None:
    """A size reads back as it is shown."""
    kind = kinds.size(0, 2**40)

    assert kind.parse(kind.show(number)) == number


@given(st.text())
def test_any_text_is_a_value_or_refused(value: str) -> None:
    """Every kind turns any text into a value or a SettingsError."""
    for entry in options_of(Sample):
        try:
            entry.kind.read(value, "option --x")
        except SettingsError as error:
            assert str(error).startswith("option --x ")


def test_the_environment_carries_the_options_of_a_base_class() -> None:
    """What is loaded from it again is the same, secrets, names and paths included."""
    settings = load(
        StoreSettings,
        keywords={
            "database": "redis",
            "redis_url": "redis://:pw@host/1",
            "account_fields": ["a", "b"],
            "sqlite_path": "/tmp/x y.db",  # noqa: S108  # not opened
            "store_timeout": "250ms",
            "hmac_enabled": True,
        },
    ).settings

    variables = as_environment(settings, StoreSettings)

    assert variables["TOTO_REDIS_URL"] == "redis://:pw@host/1"
    again = load(StoreSettings, environment=variables).settings
    assert again == settings
