"""The tables. Change them only together with a migration: `docs/registry-api.md` says how."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model


class ClusterRow(Model):
    """One row: the generation. A transaction that changes anything locks it first."""

    id = fields.IntField(primary_key=True, generated=False)
    generation = fields.BigIntField()

    class Meta:
        """Names the table."""

        table = "cluster"


class MemberRow(Model):
    """A node. Its slot is unique, whatever the code does."""

    id = fields.CharField(max_length=255, primary_key=True)
    run = fields.CharField(max_length=80)
    slot = fields.IntField(unique=True)
    location = fields.CharField(max_length=64)
    client_address = fields.CharField(max_length=255)
    mesh_address = fields.CharField(max_length=255)
    version = fields.TextField()
    weight = fields.IntField()
    state = fields.CharField(max_length=16)
    drained = fields.BooleanField()
    registered_at = fields.FloatField()
    seen_at = fields.FloatField()
    gone_at = fields.FloatField(null=True)
    figures: fields.JSONField[dict[str, int]] = fields.JSONField()

    class Meta:
        """Names the table."""

        table = "members"


class AppRow(Model):
    """An app with its rules."""

    id = fields.CharField(max_length=255, primary_key=True)
    key = fields.CharField(max_length=64, unique=True)
    secret = fields.CharField(max_length=128)
    name = fields.CharField(max_length=200)
    enabled = fields.BooleanField()
    allowed_origins: fields.JSONField[list[str]] = fields.JSONField()
    publish_keys: fields.JSONField[list[str]] = fields.JSONField()
    limits: fields.JSONField[dict[str, int]] = fields.JSONField()
    rules: fields.JSONField[list[dict[str, Any]]] = fields.JSONField()
    webhooks: fields.JSONField[list[dict[str, Any]]] = fields.JSONField(db_default=[])

    class Meta:
        """Names the table."""

        table = "apps"


class ApiKeyRow(Model):
    """An API key, by its hash."""

    id = fields.CharField(max_length=255, primary_key=True)
    digest = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=64)
    role = fields.CharField(max_length=16)
    created_at = fields.FloatField()
    expires_at = fields.FloatField(null=True)
    from_setting = fields.BooleanField()

    class Meta:
        """Names the table."""

        table = "api_keys"


class AuditRow(Model):
    """An administrative change."""

    id = fields.BigIntField(primary_key=True)
    at = fields.FloatField()
    key = fields.CharField(max_length=64)
    action = fields.CharField(max_length=64)
    object = fields.CharField(max_length=255)
    before: fields.JSONField[dict[str, Any]] = fields.JSONField(null=True)
    after: fields.JSONField[dict[str, Any]] = fields.JSONField(null=True)

    class Meta:
        """Names the table."""

        table = "audit"
