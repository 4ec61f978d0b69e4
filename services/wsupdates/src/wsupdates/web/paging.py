"""The parameters of every list that comes in pages."""

from __future__ import annotations

from wsupdates.web.endpoint import Parameter

LIMIT = Parameter("limit", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100})
PAGING = (LIMIT, Parameter("after", "Start after this one: the `next` of the page before.", {"type": "string"}))
