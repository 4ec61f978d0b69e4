"""The first tables. No description may hold a semicolon: Tortoise cuts its SQL at each one on SQLite."""

from __future__ import annotations

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Create all tables."""

    initial = True

    operations = [  # noqa: RUF012
        ops.CreateModel(
            name="ApiKeyRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("digest", fields.CharField(unique=True, max_length=64)),
                ("name", fields.CharField(max_length=64)),
                ("role", fields.CharField(max_length=16)),
                ("created_at", fields.FloatField()),
                ("expires_at", fields.FloatField(null=True)),
                ("from_setting", fields.BooleanField()),
            ],
            options={
                "table": "api_keys",
                "app": "registry",
                "pk_attr": "id",
                "table_description": "An API key, by its hash.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AppRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("key", fields.CharField(unique=True, max_length=64)),
                ("secret", fields.CharField(max_length=128)),
                ("name", fields.CharField(max_length=200)),
                ("enabled", fields.BooleanField()),
                (
                    "allowed_origins",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                (
                    "publish_keys",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("limits", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("rules", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "apps",
                "app": "registry",
                "pk_attr": "id",
                "table_description": "An app with its rules.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AuditRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("at", fields.FloatField()),
                ("key", fields.CharField(max_length=64)),
                ("action", fields.CharField(max_length=64)),
                ("object", fields.CharField(max_length=255)),
                (
                    "before",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                (
                    "after",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
            ],
            options={
                "table": "audit",
                "app": "registry",
                "pk_attr": "id",
                "table_description": "An administrative change.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ClusterRow",
            fields=[
                ("id", fields.IntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("generation", fields.BigIntField()),
            ],
            options={
                "table": "cluster",
                "app": "registry",
                "pk_attr": "id",
                "table_description": "One row: the generation. A transaction that changes anything locks it first.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MemberRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("run", fields.CharField(max_length=80)),
                ("slot", fields.IntField(unique=True)),
                ("location", fields.CharField(max_length=64)),
                ("client_address", fields.CharField(max_length=255)),
                ("mesh_address", fields.CharField(max_length=255)),
                ("version", fields.TextField(unique=False)),
                ("weight", fields.IntField()),
                ("state", fields.CharField(max_length=16)),
                ("drained", fields.BooleanField()),
                ("registered_at", fields.FloatField()),
                ("seen_at", fields.FloatField()),
                ("gone_at", fields.FloatField(null=True)),
                ("figures", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
            ],
            options={
                "table": "members",
                "app": "registry",
                "pk_attr": "id",
                "table_description": "A node. Its slot is unique, whatever the code does.",
            },
            bases=["Model"],
        ),
    ]
