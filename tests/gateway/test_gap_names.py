"""What is remembered of names until their gaps are marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto_gateway.events import gap_names
from toto_gateway.events.gap_names import GapNames

NAMES = [f"name-{number}" for number in range(8)]


def make_gaps(*names: str) -> GapNames:
    gaps = GapNames()
    for name in names:
        gaps.add(name)
    return gaps


def test_a_name_is_given_once() -> None:
    """Whether it was wanted or not; one that was not added is not given."""
    gaps = make_gaps("a", "b", "a")

    assert gaps.take(["b", "c", "b"]) == ["b", "a"]
    assert gaps.take(["a", "b", "c"]) == []
    assert len(gaps) == 0


def test_others_come_little_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are wanted come all, and at once."""
    monkeypatch.setattr(gap_names, "MARKS_MAX", 2)
    gaps = make_gaps(*NAMES)

    assert gaps.take(NAMES[5:]) == [*NAMES[5:], *NAMES[:2]]
    assert gaps.take([]) == NAMES[2:4]


def test_beyond_the_limit_it_may_be_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is due once from then on."""
    monkeypatch.setattr(gap_names, "NAMES_MAX", 2)
    gaps = make_gaps("a", "b")
    assert gaps.take(["never"]) == ["a", "b"]
    gaps = make_gaps("a", "b", "forgotten")

    assert len(gaps) == 2
    assert gaps.take(["never"]) == ["never", "a", "b"]
    assert gaps.take(["forgotten"]) == ["forgotten"]
    assert gaps.take(["forgotten"]) == []


def test_any_name_may_be_lost_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has been given out since, and that there is no room for."""
    monkeypatch.setattr(gap_names, "NAMES_MAX", 2)
    gaps = make_gaps("a", "b", "forgotten")
    gaps.take(["a", "b", "c"])
    for name in ("x", "y", "c"):
        gaps.add(name)

    assert "c" in gaps.take(["c"])


def test_what_was_given_out_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is bounded; a mark too many is the price."""
    monkeypatch.setattr(gap_names, "NAMES_MAX", 2)
    gaps = make_gaps("a", "b", "forgotten")

    assert [gaps.take([name]) for name in ("a", "c", "c", "a")] == [["a", "b"], ["c"], [], ["a"]]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES))), st.integers(1, 8))
def test_no_name_is_forgotten(steps: list[tuple[bool, str]], names_max: int) -> None:
    """Whoever wants a name that was added since it was last given gets it, in bounded memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gap_names, "NAMES_MAX", names_max)
        patch.setattr(gap_names, "MARKS_MAX", 1)
        gaps, due = GapNames(), set()
        for is_lost, name in steps:
            if is_lost:
                gaps.add(name)
                due.add(name)
                continue
            given_out = gaps.take([name])
            assert name in given_out or name not in due
            assert len(given_out) == len(set(given_out)) <= 2
            due.difference_update(given_out)

        assert len(gaps) <= names_max
        assert len(gaps._taken) <= max(names_max, 2)
