"""Options that two commands share: names of either, and one conf file for both."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from toto._core import kinds
from toto._core.settings import SettingsError, load, option


def conf(folder: Path, text: str) -> Path:
    path = folder / "gw.conf"
    path.write_text(text)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Aliased:
    """An option with two names."""

    methods: str = option("methods", kind=kinds.text(), help="Package.", alias="method_module")


def test_an_alias_is_read_from_code_conf_file_and_environment(tmp_path: Path) -> None:
    """It stands for the real name, and the source tells which name was used."""
    conf_path = conf(tmp_path, 'method_module = "b"\n')
    environment = {"TOTO_METHOD_MODULE": "c"}

    assert load(Aliased, keywords={"method_module": "a"}).settings.methods == "a"
    assert load(Aliased, conf_path=conf_path).settings.methods == "b"
    loaded = load(Aliased, conf_path=conf_path, environment=environment)
    assert loaded.settings.methods == "c"
    assert loaded.sources["methods"] == "environment variable TOTO_METHOD_MODULE"


def test_the_real_name_goes_before_its_alias(tmp_path: Path) -> None:
    """Within one place, in whatever order they stand; a later place beats both."""
    both = conf(tmp_path, 'methods = "real"\nmethod_module = "alias"\n')

    assert load(Aliased, conf_path=both).settings.methods == "real"
    later = load(Aliased, conf_path=both, environment={"TOTO_METHOD_MODULE": "c"})
    assert later.settings.methods == "c"


def test_two_commands_may_share_a_conf_file(tmp_path: Path) -> None:
    """What the other command alone has is left alone; a mistake is not."""
    shared = conf(tmp_path, 'port = 9000\nmethods = "m"\n')

    assert load(Aliased, conf_path=shared, known_elsewhere=["port"]).settings.methods == "m"
    with pytest.raises(SettingsError, match="prot is not an option"):
        load(Aliased, conf_path=conf(tmp_path, "prot = 1\n"), known_elsewhere=["port"])
