"""The node, put together: the only place that knows all parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random, SystemRandom
from typing import Any

from sanic import Sanic
from sanic.server.protocols.http_protocol import HttpProtocol

from wsmesh import __version__, logs, tls
from wsmesh.contract import ClusterConfig, Figures, Registration
from wsmesh.notify import Notifier
from wsmesh.serving import Listener, bind
from wsnode.adapters.mesh_client import MeshClient
from wsnode.adapters.registry_client import RegistryClient
from wsnode.adapters.state_dir import StateDir
from wsnode.adapters.webhook_sender import WebhookSender
from wsnode.domain.directory import Directory
from wsnode.domain.effects import Deliver, Effect, PeerConnections, PeerForgotten, PeerSnapshot
from wsnode.domain.history import History
from wsnode.domain.hub import Hub
from wsnode.domain.isolation import Isolation
from wsnode.domain.mesh import Member, Mesh, MeshLimits
from wsnode.domain.readiness import Situation, reasons_against
from wsnode.domain.webhook import HookLimits
from wsnode.domain.webhook_channels import HubChannels
from wsnode.domain.webhooks import Webhooks
from wsnode.membership import Membership
from wsnode.mesh_service import MeshService
from wsnode.metrics import NodeCollector, new_registry
from wsnode.moving import Moving
from wsnode.peer_answers import PeerAnswers
from wsnode.publishing import Publishing
from wsnode.settings import NodeSettings
from wsnode.web.client_protocol import add_client_routes
from wsnode.web.clients import Clients
from wsnode.web.errors import install_error_answers
from wsnode.web.health import add_health_routes
from wsnode.web.mesh_routes import mesh_app
from wsnode.web.publish_api import MAX_BODY_BYTES, add_publish_routes
from wsnode.web.sse_routes import MAX_HEAD_BYTES, add_sse_routes
from wsnode.webhook_cluster import WebhookCluster
from wsnode.webhook_service import WebhookService

JOIN_SECONDS = 15.0
"""How long a starting node waits for peers that neither answer nor refuse, and for what they had."""
SETTLE_SECONDS = 5.0
"""How long a stopping node waits for peers to take what they do not have yet."""
TELL_SECONDS = 10.0
"""How long a stopping node waits for webhooks that it is still to tell."""
GRACE_SECONDS = 3.0
"""How long requests in progress may take when a listener stops."""
MESH_BODY_SLACK = 64 * 1_048_576
"""A push holds one message at least, however large; a hello holds the position, all counts and all who are present."""

log = logs.get("node")


class NodeApp:
    """One run of one node."""

    def __init__(self, settings: NodeSettings, notifier: Notifier) -> None:
        self._settings = settings
        self._notifier = notifier
        self._joined = False
        self._started_at = int(time.time() * 1000)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then leave in order. Raises SettingsError."""
        settings = self._settings
        self._build()
        living = asyncio.create_task(self._notifier.keep_alive())
        await self._mesh_client.open()
        await self._registry.open()
        await self._webhook_sender.open()
        try:
            for listener in self._listeners:
                await listener.start()
            log.info("started", stream=self._mesh.stream, port=settings.port, mesh_port=settings.mesh_port)
            works = (self._membership.run(), self._service.run(), self._webhook_service.run(), self._tick())
            tasks = [asyncio.create_task(work) for work in works]
            parts = list(tasks)
            tasks.append(asyncio.create_task(self._join()))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([stopped, *parts], return_when=asyncio.FIRST_COMPLETED)
            await self._leave(tasks)
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.result()  # a part that ended by itself is a bug: let it be seen
        finally:
            await self._mesh_client.close()
            await self._webhook_sender.close()
            await self._registry.close()
            self._state_dir.release()
            living.cancel()

    # --- building

    def _build(self) -> None:
        settings, random, clock = self._settings, SystemRandom(), asyncio.get_running_loop().time
        own_mesh = settings.mesh_tls_cert is not None
        tls.refuse_plaintext(
            "client", settings.host, has_tls=settings.tls_cert is not None, allowed=settings.allow_plaintext
        )
        tls.refuse_plaintext("mesh", settings.mesh_host, has_tls=own_mesh, allowed=settings.allow_plaintext)
        self._state_dir = StateDir(settings.state_dir)
        stream = self._state_dir.new_stream(settings.node_id, time.time())

        self._hub = Hub(
            stream,
            Directory([]),
            History(settings.stream_log_seconds, settings.history_bytes),
            position=lambda: self._mesh.delivered(),
            floors=lambda: self._mesh.floors(),
            time_of_day=time.time,
            observe=lambda transition: self._webhook_service.observe(transition),
        )
        self._clients = Clients(self._hub, settings, announce=lambda count: self._service.announce(count), now=clock)
        self._moving = Moving(self._clients, Isolation(settings.isolation_grace), settings.drain_seconds)
        self._mesh = Mesh(
            node=settings.node_id,
            stream=stream,
            location=settings.location,
            address=settings.advertised_mesh_address,
            limits=MeshLimits(
                log_seconds=settings.stream_log_seconds,
                log_bytes=settings.stream_log_bytes,
                batch_bytes=settings.push_batch_bytes,
                heartbeat=settings.peer_heartbeat,
                down_after=settings.peer_down,
            ),
            uniform=random.uniform,
            snapshot=lambda: self._hub.snapshot(),
            connections=lambda: self._hub.connections_by_app(),
        )
        self._mesh_client = MeshClient(
            cluster_key=settings.cluster_key.get_secret_value(),
            timeout=settings.push_timeout,
            tls=self._mesh_tls(server=False),
        )
        self._service = MeshService(
            mesh=self._mesh,
            sender=self._mesh_client,
            apply=self._apply,
            clock=clock,
            time_of_day=time.time,
            default_acks=settings.acks,
            ack_timeout=settings.ack_timeout,
        )
        self._make_webhooks(stream, random, clock)
        urls = settings.ws_updates_url.split(",")
        self._registry = RegistryClient(
            urls=urls,
            key=settings.ws_updates_key.get_secret_value(),
            tls=tls.client_context(settings.ws_updates_ca) if urls[0].startswith("https") else None,
        )
        self._membership = self._make_membership(stream, random)
        self._metrics, self._fan_out = new_registry()
        webhooks = self._webhook_service.webhooks
        self._metrics.register(NodeCollector(self._clients, self._service, webhooks, lambda: not self.reasons()))
        self._listeners = self._make_listeners()

    def _make_webhooks(self, stream: str, random: Random, clock: Callable[[], float]) -> None:
        settings = self._settings
        self._webhook_sender = WebhookSender(
            timeout=settings.webhook_timeout,
            tls=tls.client_context(settings.webhook_ca),
            allowed=settings.webhook_allow,
        )
        limits = HookLimits(settings.webhook_delay, settings.webhook_retry_seconds, settings.webhook_queue)
        self._webhook_service = WebhookService(
            webhooks=Webhooks(stream, limits, HubChannels(self._hub), random.uniform),
            sender=self._webhook_sender,
            app=lambda app: self._hub.directory.by_id(app),
            announce=self._service.announce,
            held=lambda: self._webhook_cluster.held(),
            clock=clock,
            time_of_day=time.time,
        )
        self._webhook_cluster = WebhookCluster(
            mesh=self._mesh,
            stream=self._service,
            webhooks=self._webhook_service.webhooks,
            asker=self._mesh_client,
            clock=clock,
        )

    def _make_membership(self, stream: str, random: Random) -> Membership:
        settings = self._settings
        return Membership(
            registry=self._registry,
            state_dir=self._state_dir,
            registration=Registration(
                id=settings.node_id,
                run=stream,
                previous_run=self._state_dir.last_run(),
                location=settings.location,
                client_address=settings.advertised_client_address,
                mesh_address=settings.advertised_mesh_address,
                version=__version__,
                weight=settings.weight,
            ),
            use_config=self._use_config,
            state=lambda: "draining" if self._moving.stopping else "ready",
            figures=self._figures,
            random=random,
        )

    def _make_listeners(self) -> list[Listener]:
        settings = self._settings
        client_tls = None
        if settings.tls_cert is not None and settings.tls_key is not None:
            client_tls = tls.server_context(settings.tls_cert, settings.tls_key)
        return [
            Listener(
                self._client_app(), bind(settings.host, settings.port, "PORT"), tls=client_tls, protocol=HttpProtocol
            ),
            Listener(
                mesh_app(
                    self._service,
                    cluster_key=settings.cluster_key.get_secret_value(),
                    channel_counts=lambda query: self._hub.channel_counts(query.app, query.prefix, query.channels),
                    channel_users=lambda query: self._hub.users(query.app, query.prefix, query.channels),
                    webhook_share=self._webhook_service.webhooks.share,
                    max_body=settings.push_batch_bytes + MESH_BODY_SLACK,
                ),
                bind(settings.mesh_host, settings.mesh_port, "MESH_PORT"),
                tls=self._mesh_tls(server=True),
            ),
        ]

    def _client_app(self) -> Sanic[Any, Any]:
        app: Sanic[Any, Any] = Sanic("wsnode-clients", configure_logging=False)
        app.config.AUTO_EXTEND = False
        install_error_answers(app)
        add_health_routes(
            app,
            node=self._settings.node_id,
            location=self._settings.location,
            reasons=self.reasons,
            has_clients=lambda: self._clients.sessions > 0,
            registry=self._metrics,
        )
        app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
        add_publish_routes(
            app, Publishing(self._hub, self._service, PeerAnswers(self._mesh, self._mesh_client), now=time.time)
        )
        app.config.REQUEST_MAX_HEADER_SIZE = MAX_HEAD_BYTES
        add_sse_routes(app, self._clients, signature_seconds=self._settings.sse_signature_seconds, now=time.time)
        add_client_routes(app, self._clients)
        return app

    def _mesh_tls(self, *, server: bool) -> Any:
        cert, key, ca = self._settings.mesh_tls_cert, self._settings.mesh_tls_key, self._settings.mesh_tls_ca
        if cert is None or key is None or ca is None:
            return None
        return tls.server_context(cert, key, client_ca=ca) if server else tls.client_context(ca, cert, key)

    # --- running

    def reasons(self) -> list[str]:
        """Why this node should get no clients now."""
        membership = self._membership
        return reasons_against(
            Situation(
                configured=membership.configured.is_set(),
                joined=self._joined,
                draining=self._moving.leaving,
                refused=membership.refused,
                registry_reachable=membership.reachable,
                registry_problem=membership.problem,
                peers_expected=len(self._mesh.peers),
                peers_up=len(self._mesh.up()),
            )
        )

    async def _join(self) -> None:
        # systemd counts the node as starting, for as long as it takes: without registry and configuration it has
        # nothing to serve, and starting it again would not help.
        self._notifier.status("listening, waiting for the registry")
        await self._membership.entered.wait()
        warm = await self._service.warm(JOIN_SECONDS)
        await self._webhook_cluster.learn(self._started_at)
        self._joined = True
        self._clients.ready = True
        log.info("joined", peers=len(self._mesh.peers), up=len(self._mesh.up()), warm=warm)
        self._notifier.ready(f"serving as {self._settings.node_id} on port {self._settings.port}")

    async def _tick(self) -> None:
        while True:
            self._clients.tick()
            self._mesh.registry_reachable = self._membership.reachable
            if self._joined:
                self._moving.look(
                    asyncio.get_running_loop().time(),
                    peers_expected=len(self._mesh.peers),
                    peers_up=len(self._mesh.up()),
                    registry_problem=self._membership.problem,
                )
            self._webhook_cluster.agree(leaving=self._moving.leaving)
            await asyncio.sleep(1.0)

    async def _leave(self, tasks: list[asyncio.Task[None]]) -> None:
        self._moving.stopping = True
        self._notifier.stopping(f"draining over {self._settings.drain_seconds:g} s")
        self._membership.tell_state()
        await self._moving.stop()
        client_listener, mesh_listener = self._listeners
        await client_listener.stop(GRACE_SECONDS)
        self._webhook_cluster.agree(leaving=self._moving.leaving)
        if not await self._webhook_service.settle(TELL_SECONDS):
            log.warning("webhooks_untold")
        if not await self._service.settle(SETTLE_SECONDS):
            log.warning("left_unsettled", peers=[p.node for p in self._mesh.peers.values() if p.cursor < p.sent])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._membership.leave()
        await self._webhook_service.stop()
        await self._service.farewell()
        await self._service.stop()
        await mesh_listener.stop(GRACE_SECONDS)
        log.info("stopped")

    # --- what parts tell each other

    def _apply(self, effect: Effect) -> None:
        if isinstance(effect, Deliver):
            for message in effect.messages:
                with self._fan_out.time():
                    self._clients.deliver(effect.stream, message)
                self._webhook_service.take(effect.stream, message)
        elif isinstance(effect, PeerSnapshot):
            self._clients.learn(effect.node, effect.stream, effect.seq, effect.snapshot)
        elif isinstance(effect, PeerConnections):
            self._hub.set_remote_connections(effect.node, effect.connections)
        elif isinstance(effect, PeerForgotten):
            self._clients.forget_node(effect.node)

    def _use_config(self, config: ClusterConfig) -> None:
        self._webhook_cluster.use(config.nodes)
        self._clients.apply(Directory(config.apps))
        self._webhook_service.webhooks.apply(config.apps, asyncio.get_running_loop().time())
        self._service.set_members([Member(node.id, node.mesh_address) for node in config.nodes])
        me = [node for node in config.nodes if node.id == self._settings.node_id]
        self._moving.follow(told=any(node.state == "draining" for node in me))
        self._webhook_cluster.agree(leaving=self._moving.leaving)

    def _figures(self) -> Figures:
        return Figures(
            connections=self._clients.sessions,
            subscriptions=self._hub.subscriptions,
            messages_in=self._mesh.log.last + self._mesh.streams.received,
            messages_out=self._clients.messages_out,
            peers_up=len(self._mesh.up()),
            peers_known=len(self._mesh.peers),
            unsent_bytes=self._clients.unsent_bytes,
        )
