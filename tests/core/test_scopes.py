"""Parameters of several scopes: which one counts, and whose it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.parameters import files, scope
from ironwake.parameters.files import Group, Stated
from ironwake.parameters.scope import MAPS, Scope

SOME: dict[str, st.SearchStrategy[Any]] = {
    "timezone": st.sampled_from(["Etc/UTC", "Europe/Berlin", "Asia/Tokyo"]),
    "packages": st.lists(st.sampled_from(["nginx", "curl", "vim"]), max_size=3),
    "firmware": st.booleans(),
    "users": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["a", "b"])}), max_size=1),
    "vars": st.dictionaries(st.sampled_from("xyz"), st.text(max_size=5), max_size=3),
    "fragments": st.dictionaries(
        st.sampled_from(["debian", "redhat"]), st.text(max_size=5), max_size=2
    ),
}
STATED = st.fixed_dictionaries({}, optional=SOME)
SCOPES = st.lists(STATED, max_size=6).map(
    lambda all_: [Scope(f"scope {number}", stated) for number, stated in enumerate(all_)]
)


@given(SCOPES)
def test_each_parameter_is_the_nearest_that_states_it(scopes: list[Scope]) -> None:
    """Whole, from the last scope that has it; where none has it, it is the usual one."""
    settled = scope.settle(scopes)
    for name in SOME:
        if name in MAPS:
            continue
        said = [one for one in scopes if name in one.stated]
        alone = scope.settle([Scope("", {name: said[-1].stated[name]})] if said else [])
        assert getattr(settled.parameters, name) == getattr(alone.parameters, name)
        assert settled.origins.get(name) == (said[-1].title if said else None)


@given(SCOPES)
def test_maps_are_joined_name_by_name(scopes: list[Scope]) -> None:
    """Every name that any scope has is there, with the nearest value."""
    settled = scope.settle(scopes)
    for name in MAPS:
        wanted: dict[str, str] = {}
        for one in scopes:
            wanted |= one.stated.get(name, {})
        assert getattr(settled.parameters, name) == wanted
        for key in wanted:
            last = [one for one in scopes if key in one.stated.get(name, {})][-1]
            assert settled.origins[f"{name}.{key}"] == last.title


@given(SCOPES, SCOPES)
def test_what_is_nearer_wins_over_all_that_is_farther(far: list[Scope], near: list[Scope]) -> None:
    """Joined in two steps it is the same as in one: there is one order, and no other."""
    last = {name: value for one in near for name, value in one.stated.items() if name not in MAPS}
    both = scope.settle([*far, *near])
    for name in last:
        assert getattr(both.parameters, name) == getattr(scope.settle(near).parameters, name)


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
GROUPS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.builds(
        Group,
        match=st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), min_size=1),
        priority=st.integers(1, 5),
    ),
    max_size=8,
)


@given(LABELS, GROUPS)
def test_groups_come_by_priority_then_by_name(
    labels: dict[str, str], groups: dict[str, Group]
) -> None:
    """Those that fit and no other; the last one is the nearest: priority 1, the first by name."""
    scopes = files.groups_of(labels, groups)
    fits = [name for name, group in groups.items() if group.match.items() <= labels.items()]
    wanted = sorted(fits, key=lambda name: (groups[name].priority, name))
    assert [one.title.split(" ")[1] for one in reversed(scopes)] == wanted


def test_the_order_of_all_scopes() -> None:
    """Site, profile, groups, machine: the machine's own word is the last."""
    groups = files.groups_of({"role": "db"}, {"db": Group({"role": "db"}, 1)})
    scopes = files.joined(Stated(), ("web", {}), groups, ("node1", Stated()))
    titles = [one.title for one in scopes]
    assert titles == ["site", "profile web", "group db (priority 1)", "machine node1"]


@pytest.mark.parametrize(
    ("stated", "where", "says"),
    [
        ([("site", {"timezone": "no zone"})], "timezone", "(from site)"),
        ([("site", {"root": "keys"})], "root_keys", "belong together"),
        (
            [("site", {"root": "keys", "root_keys": []}), ("machine a", {"root": "password"})],
            "root_password_hash",
            "belong together",
        ),
        ([("group x", {"colour": "red"})], "colour", "no field"),
        ([("profile w", {"users": [{"name": "a"}, {"name": "a"}]})], "users", "(from profile w)"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_scope(
    stated: list[tuple[str, dict[str, Any]]], where: str, says: str
) -> None:
    """The parameter is named, and who has stated it."""
    with pytest.raises(InputError) as caught:
        scope.settle(Scope(title, said) for title, said in stated)
    assert caught.value.where.startswith(where)
    assert says in caught.value.what


def test_a_fragment_that_is_data_goes_as_json() -> None:
    """Where an answer file is YAML or JSON, people write its fragment as such."""
    settled = scope.settle([Scope("site", {"fragments": {"ubuntu": {"late-commands": ["x"]}}})])
    assert settled.parameters.fragments == {"ubuntu": '{"late-commands": ["x"]}'}


def test_what_is_public_has_no_secret() -> None:
    """What the data plane knows before the claim lets nobody in."""
    said = {
        "users": [{"name": "a", "password": "canary1"}],
        "proxy": "http://me:canary2@192.0.2.1:3128",
        "fragments": {"debian": "canary3"},
        "scripts": {"pre": "canary4", "post": "canary5"},
        "vars": {"x": "canary6"},
        "root": "password",
        "root_password_hash": "$6$canary7$" + "x" * 20,
    }
    public = scope.settle([Scope("site", said)]).parameters.public
    assert "canary" not in repr(public)
    public.check_together()


@pytest.mark.parametrize(
    "stated",
    [
        {"proxy": "http://me:canary word@192.0.2.1:3128"},
        {"mirror": "http://me:canary@192.0.2.1/debian"},
        {"users": [{"name": "a", "password": 4711}]},
        {"root_password_hash": 4711},
        {"vars": {"word": 4711}},
    ],
)
def test_what_is_wrong_of_a_secret_is_told_without_it(stated: dict[str, Any]) -> None:
    """A profile's mistake is shown to whoever may see profiles, and stands in their errors' log."""
    with pytest.raises(InputError) as caught:
        scope.check(stated)
    assert not [word for word in ("canary", "4711") if word in str(caught.value)]
