"""Routes of nodes: register, heartbeat, goodbye; list, drain and remove."""

from __future__ import annotations

from sanic import HTTPResponse

from wsmesh import logs
from wsmesh.contract import Heartbeat, Lease, Registration
from wsupdates.domain.refusals import Refusal
from wsupdates.web import bodies, examples
from wsupdates.web.endpoint import Call, Endpoint, Parameter, answer, nothing
from wsupdates.web.shapes import Goodbye, NodeList, NodeView

log = logs.get("nodes")

UNKNOWN = {"unknown_node": (404, "There is no lease of this node.")}
OTHER_RUN = {"other_run": (409, "The node was registered by another run.")}


async def register_node(call: Call) -> HTTPResponse:
    """Take or renew a lease and get the node's permanent slot."""
    wanted: Registration = call.body
    lease = await call.services.membership.register(wanted)
    log.info("node_registered", node=wanted.id, run=wanted.run, slot=lease.slot, location=wanted.location)
    return answer(lease)


async def heartbeat(call: Call) -> HTTPResponse:
    """Renew the lease; three in LEASE_SECONDS are right."""
    lease = await call.services.membership.heartbeat(call.params["id"], call.body)
    call.services.metrics.heartbeats.inc()
    return answer(lease)


async def delete_node(call: Call) -> HTTPResponse:
    """Say goodbye (role node, slot kept), or take a node out and free its slot (role admin)."""
    if call.key is not None and call.key.role == "admin":
        await call.services.membership.remove(call.by, call.params["id"])
        log.info("node_removed", node=call.params["id"], by=call.by)
        return nothing()
    said = bodies.decode(call.request.body, Goodbye).run if call.request.body else None
    run = call.query("run") or said
    if not run:
        raise Refusal(422, "schema", "name the run that says goodbye: ?run=…", "run")
    await call.services.membership.leave(call.params["id"], run)
    log.info("node_left", node=call.params["id"], run=run)
    return nothing()


async def list_nodes(call: Call) -> HTTPResponse:
    """All nodes by slot, gone ones too."""
    membership = call.services.membership
    found = await membership.list_members()
    return answer(NodeList(nodes=[NodeView.of(member, membership.lease_left(member)) for member in found]))


async def get_node(call: Call) -> HTTPResponse:
    """One node, with its figures and the rest of its lease."""
    member = await call.services.membership.one(call.params["id"])
    return answer(NodeView.of(member, call.services.membership.lease_left(member)))


async def drain_node(call: Call) -> HTTPResponse:
    """Have balancers and nodes treat the node as draining, until it is undrained; restarts do not end it."""
    return await _drain(call, True)


async def undrain_node(call: Call) -> HTTPResponse:
    """Take a drain back."""
    return await _drain(call, False)


async def _drain(call: Call, drained: bool) -> HTTPResponse:
    member = await call.services.membership.drain(call.by, call.params["id"], drained)
    log.info("node_drained" if drained else "node_undrained", node=member.id, by=call.by)
    return answer(NodeView.of(member, call.services.membership.lease_left(member)))


RUN = Parameter("run", "Role node: the run that says goodbye.", {"type": "string"})

ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/v1/nodes",
        register_node,
        "Take or renew a lease and get the node's permanent slot.",
        "nodes",
        ("node",),
        body=Registration,
        answer=Lease,
        errors={
            "node_id_in_use": (409, "A live node of another run has this id."),
            "no_free_slot": (409, "All slots hold live nodes."),
        },
        example=examples.REGISTRATION,
        answer_example=examples.LEASE,
    ),
    Endpoint(
        "GET",
        "/api/v1/nodes",
        list_nodes,
        "All nodes by slot, gone ones too.",
        "nodes",
        ("admin",),
        answer=NodeList,
        answer_example={"nodes": [examples.NODE]},
    ),
    Endpoint(
        "GET",
        "/api/v1/nodes/<id:str>",
        get_node,
        "One node, with its figures and the rest of its lease.",
        "nodes",
        ("admin",),
        answer=NodeView,
        errors=UNKNOWN,
        answer_example=examples.NODE,
    ),
    Endpoint(
        "DELETE",
        "/api/v1/nodes/<id:str>",
        delete_node,
        "Role node: say goodbye, the slot stays the node's. Role admin: take the node out and free its slot.",
        "nodes",
        ("node", "admin"),
        status=204,
        parameters=(RUN,),
        errors=UNKNOWN | OTHER_RUN,
    ),
    Endpoint(
        "POST",
        "/api/v1/nodes/<id:str>/heartbeat",
        heartbeat,
        "Renew the lease; three in LEASE_SECONDS are right. After 404 or 409 the node registers again.",
        "nodes",
        ("node",),
        body=Heartbeat,
        answer=Lease,
        errors=UNKNOWN | OTHER_RUN,
        example=examples.HEARTBEAT,
        answer_example=examples.LEASE,
    ),
    Endpoint(
        "POST",
        "/api/v1/nodes/<id:str>/drain",
        drain_node,
        "Have balancers and nodes treat the node as draining, until it is undrained; restarts do not end it.",
        "nodes",
        ("admin",),
        answer=NodeView,
        errors=UNKNOWN,
        answer_example=examples.NODE | {"state": "draining", "drained": True},
    ),
    Endpoint(
        "POST",
        "/api/v1/nodes/<id:str>/undrain",
        undrain_node,
        "Take a drain back.",
        "nodes",
        ("admin",),
        answer=NodeView,
        errors=UNKNOWN,
        answer_example=examples.NODE,
    ),
)
