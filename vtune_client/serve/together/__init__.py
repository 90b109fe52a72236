"""The service in Together's shape, as version 3 of its SDK speaks it (docs.together.ai/reference).

    bodies      what clients send
    files       uploads: an address to put the content at, then its check
    parts       uploads in parts
    fine_tunes  limits, price, jobs, events, metrics, checkpoints
    jobs        a job as clients see it
    weights     the delivered model as an archive
    answers     chats and completions
    catalogue   whose key it is; models, configurations, hardware
    dedicated   endpoints and their deployments, which stop when nobody asks them
    endpoints   the same over HTTP

The shape has files, jobs and models in common with the rest of the service.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.routing import BaseRoute

from vtune_client.serve.refusals import Refusal
from vtune_client.serve.service import Service
from vtune_client.serve.together.answers import AnswerRoutes
from vtune_client.serve.together.catalogue import CatalogueRoutes
from vtune_client.serve.together.dedicated import Dedicated
from vtune_client.serve.together.endpoints import EndpointRoutes, View
from vtune_client.serve.together.files import FileRoutes
from vtune_client.serve.together.fine_tunes import FineTuneRoutes
from vtune_client.serve.together.parts import Parts
from vtune_client.serve.together.weights import Weights

# The address of an upload is its own key.
_OPEN = re.compile(r"/together/v1/uploads/[^/]+(/[0-9]+)?")


def routes(service: Service) -> list[BaseRoute]:
    """Return the routes below /together."""
    dedicated = dedicated_of(service)
    return [
        *Parts(service).routes(),
        *FileRoutes(service).routes(),
        *FineTuneRoutes(service, Weights(service)).routes(),
        *AnswerRoutes(service, dedicated).routes(),
        *CatalogueRoutes(service).routes(),
        *EndpointRoutes(service, dedicated).routes(),
    ]


def error_body(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal in Together's words."""
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
    }


def is_open(path: str) -> bool:
    """Return whether a path asks for no key."""
    return _OPEN.fullmatch(path) is not None


def dedicated_of(service: Service) -> Dedicated:
    """Return the dedicated endpoints of a service; they are kept in its store."""
    return Dedicated(service.store)


def running_endpoints(service: Service) -> list[dict[str, Any]]:
    """Return the endpoints that have a deployment which is not stopped."""
    view = View(service, dedicated_of(service))
    return [view.endpoint(record) for record in view.dedicated.running()]
