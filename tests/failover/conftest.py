"""The cluster that all scenarios share, and what is written when they are done."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # its image would come from a registry

from tests.failover import forms, images, report
from tests.failover.cluster import Cluster, running
from tests.failover.results import Result


@pytest.fixture(scope="session", autouse=True)
def terminated() -> Iterator[None]:
    """SIGTERM cleans up as Ctrl-C does."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, former)


@pytest.fixture(scope="session")
def form() -> forms.Form:
    """How large this run is."""
    return forms.chosen()


@pytest.fixture(scope="session")
def results(form: forms.Form) -> Iterator[list[Result]]:
    """What the scenarios came to; the report is made of it."""
    found: list[Result] = []
    shutil.rmtree(form.folder, ignore_errors=True)
    machine = report.Machine.begin()
    yield found
    report.write(form, machine.end(), found)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(form: forms.Form, results: list[Result]) -> AsyncIterator[Cluster]:
    """The running cluster; the images are built first, if they are not there."""
    tag = await asyncio.to_thread(images.built)
    async with running(tag, form.folder / "logs", form.drain) as started:
        yield started
