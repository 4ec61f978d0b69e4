"""What the routes work with; made in app.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wsupdates.domain.rates import Rates
from wsupdates.usecases.administration import Administration
from wsupdates.usecases.apps import Apps
from wsupdates.usecases.keys import Keys
from wsupdates.usecases.membership import Membership
from wsupdates.usecases.published import Published
from wsupdates.usecases.store import Store
from wsupdates.web.metrics import Metrics


@dataclass(frozen=True)
class Services:
    """The use cases, and what every request needs. `monotonic` gives seconds that never go back."""

    store: Store
    published: Published
    membership: Membership
    apps: Apps
    keys: Keys
    administration: Administration
    metrics: Metrics
    rates: Rates
    monotonic: Callable[[], float]
