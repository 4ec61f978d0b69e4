"""Write the table of variables in each role's README from its argument specs: python scripts/role_tables.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROLES = Path(__file__).resolve().parents[1] / "roles"
HEADING = "## Variables\n"
HEAD = "\n| variable | default | meaning |\n| --- | --- | --- |\n"


def options(role: Path) -> dict[str, Any]:
    """The variables of the role's entry point."""
    found: dict[str, Any] = specs(role)["main"]["options"]
    return found


def specs(role: Path) -> dict[str, Any]:
    """All entry points of the role."""
    text = (role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]
    return found


def with_table(role: Path) -> str:
    """The README as it should be: what stands before the table, and the table. ValueError without the heading."""
    before, heading, _ = (role / "README.md").read_text(encoding="utf-8").partition(HEADING)
    if not heading:
        raise ValueError(f"roles/{role.name}/README.md: expected the heading `{HEADING.strip()}`, the last one")
    rows = "".join(row for name, option in options(role).items() for row in rows_of(name, option))
    return before + heading + HEAD + rows


def rows_of(name: str, option: dict[str, Any]) -> list[str]:
    """A row for the variable, and one for each part of the entries that it holds."""
    rows = [f"| `{name}` | {_default(option)} | {_meaning(option)} |\n"]
    for part, inner in option.get("options", {}).items():
        rows += rows_of(f"{name}[].{part}" if option["type"] == "list" else f"{name}.{part}", inner)
    return rows


def _default(option: dict[str, Any]) -> str:
    if "default" not in option:
        return "required" if option.get("required") else ""
    value = option["default"]
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if text else '`""`'


def _meaning(option: dict[str, Any]) -> str:
    said = option["description"]
    text = " ".join(said if isinstance(said, list) else [said])
    if "choices" in option:
        text += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
    return re.sub(r"C\(([^)]*)\)", r"`\1`", text).replace("|", "\\|")


def main() -> None:
    """Write the READMEs."""
    for role in sorted(ROLES.iterdir()):
        if (role / "README.md").is_file():
            (role / "README.md").write_text(with_table(role), encoding="utf-8")


if __name__ == "__main__":
    main()
