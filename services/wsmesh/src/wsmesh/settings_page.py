"""The settings of every service as a page of Markdown: `python -m wsmesh.settings_page > docs/configuration.md`."""

from __future__ import annotations

import importlib

from wsmesh.settings import Settings, default_text

SERVICES = {"wsnode": "wsnode.settings:NodeSettings", "wsupdates": "wsupdates.settings:RegistrySettings"}

HEAD = """# Configuration

This page is generated from the code by `make docs`; a test fails when they differ.

Settings come from the environment, or from a file of `NAME=value` lines given with `--env-file`; the environment wins.
A wrong or missing setting stops the start with one line that names it. `--check-config` prints what is in force, with
secrets masked.

A secret need not be in the environment. `CLUSTER_KEY`, say, is taken from the first of these that is there:

1. the variable `CLUSTER_KEY`;
2. the file that `CLUSTER_KEY_FILE` names;
3. the file `cluster_key` in `$CREDENTIALS_DIRECTORY`, where systemd puts what a unit says with
   `LoadCredential=cluster_key:/etc/wsmesh/secrets/cluster_key`.

White space around it does not count. Settings that may be given so are marked *secret*.
"""


def load(target: str) -> type[Settings]:
    """Import `module:Class`."""
    module, name = target.split(":")
    cls: type[Settings] = getattr(importlib.import_module(module), name)
    return cls


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for service, target in SERVICES.items():
        parts.append(f"\n## {service}\n")
        cls = load(target)
        for field, info in cls.model_fields.items():
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            default = "required" if info.is_required() else f"default `{default_text(info.default)}`"
            mark = ", *secret*" if field.upper() in cls.secrets() else ""
            parts.append(f"\n### `{field.upper()}`\n\n{info.description} ({default}{mark})\n")
            for word, key in (("Raising", "raising"), ("Lowering", "lowering")):
                if extra.get(key):
                    parts.append(f"- {word} it: {extra[key]}\n")
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
