"""Conf files: both syntaxes, and what is said of files that are neither."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toto._core.conf_file import read_conf_file
from toto._core.log_settings import LogSettings
from toto._core.settings import SettingsError, load


def written(folder: Path, content: str | bytes, name: str = "gw.conf") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    """Return what is said of the file, without its name."""
    with pytest.raises(SettingsError) as raised:
        read_conf_file(path)
    return str(raised.value).replace(str(path), "FILE")


def test_toml(tmp_path: Path) -> None:
    """A TOML file gives its top-level keys."""
    path = written(tmp_path, '# ports\nport = 8_888\ndebug = true\nonly = ["a", "b"]\n')

    assert read_conf_file(path) == {"port": 8888, "debug": True, "only": ["a", "b"]}


def test_python_literals(tmp_path: Path) -> None:
    """A Toto conf gives its literals: numbers, texts, flags, and lists over several lines."""
    path = written(
        tmp_path,
        "# Toto\nport=8888\nbson_enabled=True\nroot='/a\\x2fb'  # here\ntimeout=-1.5\n"
        "only=[\n  'a',\n  \"b\",\n]\ntable={'x': (1, None)}\n",
    )

    assert read_conf_file(path) == {
        "port": 8888,
        "bson_enabled": True,
        "root": "/a/b",
        "timeout": -1.5,
        "only": ["a", "b"],
        "table": {"x": (1, None)},
    }


@pytest.mark.parametrize("content", ["", "\n# nothing\n", "\ufeff", "port = 1\r\n"])
def test_small_files(tmp_path: Path, content: str) -> None:
    """Empty files, comments, a byte order mark and Windows line ends are all read."""
    assert read_conf_file(written(tmp_path, content)) in ({}, {"port": 1})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a=1\nport=open('x')", "FILE line 2: port must be a literal"),
        ("debug=True\nport=other", "FILE line 2: port must be a literal"),
        ("port=1+1", "FILE line 1: port must be a literal"),
        ("port={[]: 1}", "FILE line 1: port must be a literal"),
        ("debug=True\nimport os", "FILE line 2: only `name = literal` may stand here"),
        ("debug=True\nos.x = 1", "FILE line 2: only `name = literal` may stand here"),
        ("debug=True\na = b = 1", "FILE line 2: only `name = literal` may stand here"),
        ("debug=True\n'text'", "FILE line 2: only `name = literal` may stand here"),
        ("port=1\nport=2", "FILE line 2: port is set a second time"),
        ("debug=True\nport=\nroot='/'", "FILE line 2: invalid syntax"),
        ("debug=true\nhost=localhost", "FILE line 2: Invalid value"),
        ("debug=true\n[table]\nx = oops", "FILE line 3: Invalid value"),
        ("debug=true\nx = 1 2", "FILE line 2: neither TOML nor `name = literal`"),
        ("host=localhost", "FILE line 1: host must be a literal"),
        ("port 8888", "FILE line 1: neither TOML nor `name = literal`"),
        ("port = 1\n<xml/>", "FILE line 2: neither TOML nor `name = literal`"),
        ("a = " + "[" * 100_000, "FILE line 1: "),
        ("a = " + "-" * 100_000 + "1", "FILE line 1: "),
        ("a = True" + "+1" * 100_000, "FILE line 1: nested too deeply"),
        ("a = 1\0", "FILE line 1: "),
    ],
)
def test_refusal_names_the_line(tmp_path: Path, content: str, expected: str) -> None:
    """Of the two syntaxes, the one that understood more of the file says what is wrong where."""
    assert refusal(written(tmp_path, content)).startswith(expected)


def test_nothing_is_executed(tmp_path: Path) -> None:
    """A call in a conf file is refused, not made."""
    marker = tmp_path / "made"

    refusal(written(tmp_path, f"port=open({str(marker)!r}, 'w')"))

    assert not marker.exists()


def test_toml_name_means_toml(tmp_path: Path) -> None:
    """A file whose name ends in .toml is read as TOML only."""
    path = written(tmp_path, "debug=True", "gw.toml")

    assert refusal(path) == "FILE line 1: Invalid value"
    assert read_conf_file(written(tmp_path, r"a='\n'", "gw.toml")) == {"a": r"\n"}


def test_error_at_the_end_of_a_toml_file(tmp_path: Path) -> None:
    """An unfinished TOML value is reported on the last line."""
    assert refusal(written(tmp_path, "a = 1\nb = [\n1,", "gw.toml")).startswith("FILE line 3: ")


def test_ambiguous_backslash(tmp_path: Path) -> None:
    """A text that TOML and Python read differently is refused rather than guessed."""
    path = written(tmp_path, "port = 1\nkey = 'a\\tb'")

    assert refusal(path) == (
        "FILE: key has a backslash that TOML and Python read differently: "
        "write it between double quotes"
    )


def test_invalid_escape_is_kept_without_a_warning(tmp_path: Path) -> None:
    """A backslash that starts no escape stays, as in Python, and warns nobody."""
    assert read_conf_file(written(tmp_path, 'debug=True\nkey="a\\d"')) == {
        "debug": True,
        "key": "a\\d",
    }


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an error that names it."""
    assert (
        refusal(tmp_path / "x.conf") == "cannot read the conf file FILE: No such file or directory"
    )


def test_directory(tmp_path: Path) -> None:
    """A folder is not a conf file."""
    assert refusal(tmp_path) == "cannot read the conf file FILE: Is a directory"


def test_impossible_name() -> None:
    """A name no file can have is an error like any other."""
    assert refusal(Path("a\0b")) == "cannot read the conf file FILE: not a file name"


def test_undecodable_file(tmp_path: Path) -> None:
    """A file that is not UTF-8 is an error that names the line."""
    assert refusal(written(tmp_path, b"a = 1\nb = '\xff'")) == "FILE line 2: not text in UTF-8"


def test_huge_file(tmp_path: Path) -> None:
    """A file over 1 MiB is refused; one of just 1 MiB is read."""
    assert read_conf_file(written(tmp_path, b"#" * 2**20)) == {}
    assert refusal(written(tmp_path, b"#" * (2**20 + 1))) == "the conf file FILE is over 1 MiB"


_NAMES = st.sampled_from(["log_level", "log_format", "x", "[a]", "'b'"])
_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["'info'", '"json"', "True", "true", "[1,", "1979-05-27", "{'a': 1}", "nan"]),
)
_LINES = st.lists(st.tuples(_NAMES, _VALUES).map("=".join), max_size=4).map("\n".join)


@settings(deadline=None)
@given(st.one_of(st.text(), st.binary(), _LINES))
def test_any_content_gives_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    """Whatever a conf file holds, loading it gives settings or a SettingsError."""
    path = written(tmp_path_factory.getbasetemp(), content)

    try:
        loaded = load(LogSettings, conf_path=path)
    except SettingsError as error:
        assert str(path) in str(error)
    else:
        assert isinstance(loaded.settings, LogSettings)
