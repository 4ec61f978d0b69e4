"""The webhooks of an app. A registry of the version before may still write apps: they then have none."""

from __future__ import annotations

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("registry", "0001_initial")]  # noqa: RUF012

    initial = False

    operations = [  # noqa: RUF012
        ops.AddField(
            model_name="AppRow",
            name="webhooks",
            field=fields.JSONField(
                db_default=[], encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
            ),
        ),
    ]
