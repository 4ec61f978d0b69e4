"""What each role says of its variables: argument specs, defaults and README."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[3]


def load(path: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = load(ROOT / "scripts/role_tables.py")
ROLES = sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/meta/main.yml"))


def defaults(role: str) -> dict[str, Any]:
    """What defaults/main.yml says."""
    path = ROOT / "roles" / role / "defaults/main.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def test_there_are_roles() -> None:
    """The tests below look at the roles that the deployment is made of."""
    assert {"haproxy", "monitoring", "pki", "release", "wsnode", "wsupdates"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_specs_and_defaults_name_the_same_variables(role: str) -> None:
    """A variable with a default is in the argument specs, and the other way round."""
    given = {
        name: option["default"] for name, option in tables.options(ROOT / "roles" / role).items() if "default" in option
    }
    assert given == defaults(role)


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_the_name_of_the_role(role: str) -> None:
    """A variable begins with the role's name, or with `wsmesh_` if several roles share it."""
    for name in tables.options(ROOT / "roles" / role):
        assert name.startswith((f"{role}_", "wsmesh_"))


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_typed_and_described(role: str) -> None:
    """A variable has a type and a description that is a sentence; a secret is kept out of logs."""
    for name, option in tables.options(ROOT / "roles" / role).items():
        assert option["type"], name
        text = " ".join([option["description"]] if isinstance(option["description"], str) else option["description"])
        assert text.endswith("."), name
        if name.endswith(("_key", "_passphrase", "_password")):
            assert option["no_log"] is True, name


def test_shared_variables_have_one_default() -> None:
    """A `wsmesh_` variable has the same default and type in every role that takes it."""
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for role in ROLES:
        for name, option in tables.options(ROOT / "roles" / role).items():
            if name.startswith("wsmesh_"):
                found.setdefault(name, {})[role] = (option.get("default"), option["type"])
    differing = {name: by_role for name, by_role in found.items() if len({str(one) for one in by_role.values()}) > 1}
    assert differing == {}


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_has_the_table_of_the_specs(role: str) -> None:
    """The table of variables in the README is what scripts/role_tables.py writes."""
    path = ROOT / "roles" / role / "README.md"
    assert path.read_text(encoding="utf-8") == tables.with_table(ROOT / "roles" / role), "run `make docs`"


@pytest.mark.parametrize("role", ROLES)
def test_roles_are_laid_out_alike(role: str) -> None:
    """Each role has its files in the places where all roles have them."""
    for name in (
        "tasks/main.yml",
        "tasks/preflight.yml",
        "tasks/install.yml",
        "tasks/configure.yml",
        "handlers/main.yml",
    ):
        assert (ROOT / "roles" / role / name).is_file(), name
    assert (ROOT / "roles" / role / "molecule/default/molecule.yml").is_file()
