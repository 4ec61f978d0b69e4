"""Write docs/failover.md and its pictures from the last report: `python -m tests.failover.page [FORM]`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.failover import report
from tests.failover.forms import FORMS

DOCS = Path(__file__).parents[2] / "docs"
INTRODUCTION = """\
# Failover

What happens to messages when parts of a cluster fail, measured on real containers. `tests/failover` starts a
registry, and five nodes and two HAProxys in two locations, each HAProxy with the settings that the role has by
default. Everything that nodes say to each other and to the registry goes through a proxy of the tests, which can hold
it back, delay it or break it off. Publishers and clients are outside, and go through the HAProxy of their location:

- Publishers number their messages, ask for `acks=1`, and repeat a message with the same `X-Idempotency-Key` until it
  is acknowledged.
- Each client has one channel, resumes by position as [the client protocol](client-protocol.md#resuming) says, and
  keeps an account: every acknowledged message must be there, once, each stream in order, and every resume must be
  whole. After 4200 it comes back within 0.1 s, after anything else with full jitter from 0.25 s on.
- Each scenario proves that its fault happened, as a node or HAProxy saw it. A run fails when one message is lost,
  comes twice or is out of order for one client. Times are reported and compared with the goals; they depend on the
  machine.

```sh
make failover                  # the full form, eight minutes: build/failover/full/report.md
FAILOVER=quick make failover   # the quick form, four minutes: build/failover/quick/report.md
make failover PYTEST_ARGS='-k rolling'     # one scenario
make failover-page             # this page, from the last full report
```

It needs Docker (started if none runs), two quiet cores and nothing else to run beside it: nodes, HAProxy, publishers
and clients share the machine, and a machine that is short of processor time shows its own delays. All containers and
networks carry a label and are removed at the end, also after Ctrl-C; logs stay in `build/failover/FORM/logs`.

## What decides the recovery time

- **A node's process dies.** Its sockets close, and clients come back at once. When its machine is gone too, nobody
  refuses: as the node with the fewest clients it is asked first, until HAProxy's checks have failed, so each
  connection waits `haproxy_timeout_connect` (1 s) before another node gets it.
- **A node freezes.** Nothing closes; HAProxy must notice. With a check every second, 800 ms to answer, 200 ms until
  the next one in doubt, and three failures, that takes at most four seconds. The price: a node that answers nothing
  for more than two seconds since it is busy loses its clients. One slow check never cuts anybody. Where nodes share a
  core with something heavy, raise `haproxy_check_timeout` and accept slower recovery.
- **A node drains.** It answers `/readyz` with 404 as long as it has clients: HAProxy sends it no new ones and leaves
  it the present ones, which it closes over `DRAIN_SECONDS`. How many come back in one second is the clients of the
  fullest node by `DRAIN_SECONDS`.

"""


def main(name: str) -> None:
    """Write the page from the report of a form."""
    folder = FORMS[name].folder
    if not (folder / "report.json").exists():
        sys.exit(f"error: there is no report in {folder}; make one with `make failover`")
    form, machine, results = report.read(folder)
    pictures = DOCS / "pictures" / "failover"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    report.draw(pictures, results)
    text = report.render(form, machine, results, "pictures/failover/")
    last = text.replace("\n## ", "\n### ").rstrip() + "\n"
    (DOCS / "failover.md").write_text(f"{INTRODUCTION}## The last run\n\n{last}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "full")
