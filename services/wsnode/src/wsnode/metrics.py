"""The node's figures for Prometheus: read where they are kept, at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from wsnode.domain.history import History
from wsnode.domain.webhooks import Webhooks
from wsnode.mesh_service import MeshService
from wsnode.web.clients import Clients

FAN_OUT_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)


def new_registry() -> tuple[CollectorRegistry, Histogram]:
    """A registry with the process's own figures, and the histogram of the fan-out time."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    fan_out = Histogram(
        "wsmesh_fan_out_seconds",
        "Time to write one message to all its subscribers here",
        buckets=FAN_OUT_BUCKETS,
        registry=registry,
    )
    return registry, fan_out


class NodeCollector(Collector):
    """Reads clients, mesh and webhooks."""

    def __init__(self, clients: Clients, mesh: MeshService, webhooks: Webhooks, ready: Callable[[], bool]) -> None:
        self._clients = clients
        self._webhooks = webhooks
        self._service = mesh
        self._ready = ready

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield _gauge("wsmesh_ready", "1 when the node takes clients", float(self._ready()))
        yield from self._of_clients()
        yield from self._of_mesh()
        yield from self._of_webhooks()

    def _of_clients(self) -> Iterator[Metric]:
        clients = self._clients
        yield _gauge("wsmesh_connections", "Clients connected", clients.sessions)
        yield _gauge("wsmesh_event_streams", "Those of them that listen to server-sent events", clients.event_streams)
        yield _gauge("wsmesh_subscriptions", "Subscriptions of clients to channels", clients.hub.subscriptions)
        yield _gauge(
            "wsmesh_members", "Members of presence channels in the cluster, as known here", clients.hub.present
        )
        yield _gauge("wsmesh_unsent_bytes", "Bytes that wait for clients to read them", clients.unsent_bytes)
        yield _counter("wsmesh_connections_opened", "Clients that were let in", clients.opened)
        yield _counter("wsmesh_client_messages_in", "Messages that clients sent", clients.messages_in)
        yield _counter("wsmesh_client_messages_out", "Events written to clients", clients.messages_out)
        yield _counter(
            "wsmesh_events_replayed", "Missed events that clients got when they resumed", clients.hub.replayed
        )
        yield _counter("wsmesh_events_repeated", "Events dropped for their idempotency key", clients.hub.repeated)
        yield _counter(
            "wsmesh_idempotency_keys_dropped",
            "Idempotency keys that were forgotten early, for want of room",
            clients.hub.keys.dropped,
        )
        yield from history_metrics(clients.hub.history)
        yield _counter("wsmesh_pings", "Pings to silent clients", clients.pings)
        yield _counter("wsmesh_slow_clients_closed", "Clients closed since they did not read", clients.slow)
        refused = CounterMetricFamily("wsmesh_connections_refused", "Clients turned away, by code", labels=["code"])
        for code, number in clients.refused.items():
            refused.add_metric([str(code)], number)
        yield refused
        closed = CounterMetricFamily("wsmesh_connections_closed", "Connections ended, by close code", labels=["code"])
        for code, number in clients.closed.items():
            closed.add_metric([str(code)], number)
        yield closed

    def _of_mesh(self) -> Iterator[Metric]:
        mesh = self._service.mesh
        yield _counter("wsmesh_stream_messages", "Messages on the own stream", mesh.log.last)
        yield _gauge("wsmesh_streams", "Streams of other nodes that are held", len(mesh.streams.inboxes))
        yield _gauge("wsmesh_log_bytes", "Bytes in the logs of all streams", mesh.log_bytes())
        yield _counter("wsmesh_log_dropped", "Messages that left the logs early, for want of room", mesh.dropped_early)
        yield _counter("wsmesh_pulls", "Requests for messages that did not come by push", mesh.streams.pulls)
        yield _counter("wsmesh_messages_received", "Messages that arrived from peers", mesh.streams.received)
        yield _counter("wsmesh_duplicates", "Messages that arrived again and were dropped", mesh.streams.duplicates)
        yield _counter("wsmesh_gaps", "Messages of peers that never arrived", mesh.streams.gaps)
        yield _counter("wsmesh_mesh_requests", "Requests to peers", self._service.figures.requests)
        yield _counter("wsmesh_mesh_request_failures", "Requests to peers that failed", self._service.figures.failures)
        yield _gauge("wsmesh_publishes_waiting", "Publishes that wait for acknowledgements", self._service.waiting)
        up = GaugeMetricFamily("wsmesh_peer_up", "1 when the peer answers", labels=["peer"])
        lag = GaugeMetricFamily("wsmesh_peer_lag_messages", "Own messages a peer has not acknowledged", labels=["peer"])
        retries = CounterMetricFamily("wsmesh_peer_retries", "Failed requests to a peer", labels=["peer"])
        for peer in mesh.peers.values():
            up.add_metric([peer.node], float(peer.state == "up"))
            lag.add_metric([peer.node], mesh.log.last - peer.cursor if peer.stream is not None else 0)
            retries.add_metric([peer.node], peer.retries)
        yield from (up, lag, retries)

    def _of_webhooks(self) -> Iterator[Metric]:
        labels = ["app", "webhook"]
        sent = CounterMetricFamily("wsmesh_webhook_events_sent", "Events that a webhook was told", labels=labels)
        failed = CounterMetricFamily(
            "wsmesh_webhook_requests_failed", "Requests that a webhook did not answer with success", labels=labels
        )
        dropped = CounterMetricFamily("wsmesh_webhook_events_dropped", "Events given up on", labels=labels)
        waiting = GaugeMetricFamily("wsmesh_webhook_events_waiting", "Events that wait for a webhook", labels=labels)
        for hook in self._webhooks.hooks.values():
            values = (hook.app, hook.name)
            sent.add_metric(values, hook.events_sent)
            failed.add_metric(values, hook.requests_failed)
            dropped.add_metric(values, hook.events_dropped)
            waiting.add_metric(values, len(hook.queue))
        yield from (sent, failed, dropped, waiting)


def history_metrics(history: History) -> Iterator[Metric]:
    """What is kept of all channels, and the events that left before their time, by the bound that they left for."""
    yield _gauge("wsmesh_history_bytes", "Bytes in the history of all channels", history.bytes)
    dropped = CounterMetricFamily(
        "wsmesh_history_dropped", "Events that left the history early, for lack of room", labels=["bound"]
    )
    dropped.add_metric(["process"], history.dropped)
    dropped.add_metric(["rule"], history.dropped_by_rules)
    yield dropped


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)


def _counter(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, about, value=value)
