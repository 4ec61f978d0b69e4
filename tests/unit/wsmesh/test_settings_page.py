"""Every setting of every service is explained, and the page of settings is that of the code."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from wsmesh.settings import Settings
from wsmesh.settings_page import SERVICES, load, page

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"

Case = tuple[type[Settings], str]

EVERY: list[Case] = [(load(target), field) for target in SERVICES.values() for field in load(target).model_fields]


def is_number(annotation: Any) -> bool:
    """Whether a setting may hold a number."""
    if get_origin(annotation) in (Union, UnionType):
        return any(map(is_number, get_args(annotation)))
    return annotation in (int, float)


NUMBERS = [(cls, field) for cls, field in EVERY if is_number(cls.model_fields[field].annotation)]


def name_of(part: object) -> str:
    """A readable id of a test."""
    return part.__name__ if isinstance(part, type) else str(part)


def extra(cls: type[Settings], field: str) -> dict[str, Any]:
    """What the declaration says beside the description."""
    found = cls.model_fields[field].json_schema_extra
    return found if isinstance(found, dict) else {}


@pytest.mark.parametrize(("cls", "field"), EVERY, ids=name_of)
def test_every_setting_is_explained(cls: type[Settings], field: str) -> None:
    """A setting says what it is, as a sentence."""
    about = cls.model_fields[field].description or ""
    assert about[:1].isupper() or about[:1] == "`"
    assert about.endswith(".")


@pytest.mark.parametrize(("cls", "field"), NUMBERS, ids=name_of)
def test_every_number_says_what_a_change_costs(cls: type[Settings], field: str) -> None:
    """A setting that is a number says what raising and lowering it costs, and what is expected of it."""
    assert extra(cls, field)["raising"].endswith(".")
    assert extra(cls, field)["lowering"].endswith(".")
    assert extra(cls, field)["expected"]


def test_numbers_beside_words_count_as_numbers() -> None:
    """A setting like ACKS, a number or `all`, must say what a change costs."""
    assert is_number(int | Literal["all"])
    assert not is_number(tuple[int, ...])


def test_the_page_is_that_of_the_code() -> None:
    """docs/configuration.md is what `make docs` would write."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/configuration.md"


@pytest.mark.parametrize(("cls", "field"), EVERY, ids=name_of)
def test_every_setting_is_on_the_page(cls: type[Settings], field: str) -> None:
    """No setting is missing on the page."""
    assert f"\n### `{field.upper()}`\n\n{cls.model_fields[field].description}" in page()
