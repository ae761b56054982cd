"""Every family keeps the same promises: each parameter is told or refused by name, none is lost.

Whatever is registered is asked; a new family has nothing to add here.
"""

from __future__ import annotations

import base64
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironwake import families
from ironwake.errors import InputError
from ironwake.families.base import Answers, Format
from ironwake.parameters import Parameters
from ironwake.release import Release
from ironwake_runtime import judges
from tests.families import asked, conformance
from tests.families.conformance import FIELDS, NETWORKS, SAMPLES, base, told

ROWS = list(conformance.rows())
FIRST = list(conformance.first_rows())
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
# The others' answers are a person's own template, which tells what it likes.
TELLING = [row for row in ROWS if row.family != "other"]
every_family = pytest.mark.parametrize("row", FIRST, ids=lambda row: row.family)
# A person's own file, and what it reads besides, are nothing that a family tells by itself.
_OWN = {"template", "vars", "fragments"}
# Stated together with another one, and by its samples.
_WITH = {"root_keys": "root", "root_password_hash": "root", "network": "network"}


def _check_named(error: InputError, *names: str) -> None:
    """It names one of these fields, and says why."""
    first = error.where.partition("[")[0].partition(".")[0]
    assert first in names, f"{error.where}: {error}"
    assert error.what


def _texts(row: Release, answers: Answers, install: Any) -> str:
    family = families.FAMILIES[row.family]
    public = replace(install, parameters=install.parameters.public)
    arguments = " ".join(family.arguments(public))
    return "\n".join((*conformance.parsed(family, answers).values(), arguments))


def test_every_parameter_has_a_sample() -> None:
    """One that is added to the model is asked of every family from then on."""
    names = {one.name for one in fields(Parameters)}
    assert names == {*SAMPLES, *_OWN, *_WITH}


@every_row
def test_the_least_that_is_stated_is_told(row: Release) -> None:
    """It renders, all files have formats, and reading back gives what was meant."""
    family = families.FAMILIES[row.family]
    answers = told(family, base(row))
    assert set(answers.files) <= set(family.files)
    assert set(family.formats) == set(family.files)
    assert conformance.parsed(family, answers)
    assert family.refuses.keys() <= {one.name for one in fields(Parameters)}
    assert told(family, base(row)) == answers  # the same again


@pytest.mark.parametrize("row", TELLING, ids=lambda row: row.name)
@pytest.mark.parametrize("name", SAMPLES)
def test_each_parameter_is_told_or_refused_by_name(row: Release, name: str) -> None:
    """Stated, it changes what is told, and its value is found there; else the reason names it."""
    family = families.FAMILIES[row.family]
    before = _texts(row, told(family, base(row)), base(row))
    for sample in SAMPLES[name]:
        install = base(row, **sample.stated)
        try:
            answers = told(family, install)
        except InputError as error:
            _check_named(error, name, *sample.stated)
            continue
        after = _texts(row, answers, install)
        assert sample.word in after
        # The usual may be what is wished for.
        if name not in ("security", "firmware") and install != base(row):
            assert after != before


@every_family
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("layout", ["none", *asked.LAYOUTS])
def test_layouts_and_networks_are_told_or_refused_by_name(
    row: Release, layout: str, kind: str
) -> None:
    """Each pair of them: nothing is told in part."""
    family = families.FAMILIES[row.family]
    install = base(row, network=NETWORKS[kind])
    if layout != "none":
        keys = asked.SEALED_KEYS if layout == "sealed" else {}
        install = replace(install, layout=asked.LAYOUTS[layout], keys=keys)
    try:
        answers = told(family, install)
    except InputError as error:
        _check_named(error, "layout", "network", "disk")
        return
    assert conformance.parsed(family, answers)


def _stated(row: Release) -> dict[str, Any]:
    """All samples that the family takes, each tried by itself."""
    family = families.FAMILIES[row.family]
    taken: dict[str, Any] = {}
    for samples in SAMPLES.values():
        for sample in samples:
            try:
                told(family, base(row, **{**taken, **sample.stated}))
            except InputError:
                continue
            taken |= sample.stated
            break
    return taken


@every_row
def test_the_formats_own_judges_find_nothing_wrong(row: Release) -> None:
    """With all that the family takes at once, on the usual disk and on a layout of several."""
    family = families.FAMILIES[row.family]
    taken = _stated(row)
    judged = 0
    for layout in (None, asked.PLAIN, asked.LVM):
        install = replace(base(row, **taken), layout=layout)
        try:
            answers = told(family, install)
        except InputError:
            continue
        judged += 1
        for name, text in answers.files.items():
            raw = base64.b64decode(text) if name in answers.binary else text.encode()
            for verdict in judges.judge(family.formats[name], raw, row):
                assert verdict.there, (name, verdict)  # tools/packages has them all
                assert not verdict.complaints, (name, verdict)
    assert judged


HOSTILE = st.sampled_from(asked.NAUGHTY) | st.text(
    "qz \\\"'`$;|&<>(){}[]%#!?*~^=:,.@/+-_\n\tÜ🚀\x7f\x85\u2028", min_size=3, max_size=40
)


@every_family
@pytest.mark.parametrize("name", FIELDS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(text=HOSTILE)
def test_hostile_texts_come_back_equal_or_are_refused_by_name(
    row: Release, name: str, text: str
) -> None:
    """Put in the place of a harmless one, a text changes nothing but itself: no key, no line."""
    family, field = families.FAMILIES[row.family], FIELDS[name]
    plain = base(row)
    try:
        expected = conformance.parsed(family, told(family, field.put(plain, field.benign)))
    except InputError:
        return  # the family takes no such parameter at all
    try:
        install = field.put(plain, text)
    except InputError:
        return  # the model takes no such text
    try:
        answers = told(family, install)
    except InputError as error:
        _check_named(error, field.name)
        return
    found = conformance.parsed(family, answers)
    assert found.keys() == expected.keys()
    for where, got in found.items():
        assert conformance.same(got, expected[where], text, field.benign), where


def test_every_format_of_a_family_is_judged() -> None:
    """What nobody judges is plain text only."""
    for family in families.FAMILIES.values():
        for form in family.formats.values():
            assert form in {*judges._OWN, *judges._TOOLS, Format.TEXT}
