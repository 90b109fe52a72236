"""Azure: a fine-tuned model answers only through a deployment, which is made and paid for apart.

https://learn.microsoft.com/azure/ai-foundry/openai/how-to/fine-tuning-deploy: the control plane
(ARM) makes it. Each one made here is written down in a lease before, so that one left by a process
that died is deleted by the next. The default SKU, `developertier`, costs nothing per hour and ends
by itself after a day.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Mapping
from typing import Any

import httpx

from vtune_client.errors import InputError, NetworkError, ProviderError, VTuneError
from vtune_client.lease import Lease, Leases
from vtune_providers.chat.wire import Reply
from vtune_providers.openai.failures import Doing, failure, garbage
from vtune_providers.openai.settings import Settings

log = logging.getLogger(__name__)
API_VERSION = "2024-10-01"
CAPACITY = 50  # thousand tokens a minute, where the SKU counts them
READY_S = 1800.0
PAUSE_S = 5.0
_RESOURCE = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+",
    re.IGNORECASE,
)


def is_fine_tuned(model: str) -> bool:
    """Return whether this is a model's name (gpt-4o-mini-2024-07-18.ft-...), no deployment's."""
    return ".ft-" in model


def untold(model: str) -> ProviderError:
    """Return the error that says how to deploy `model` by hand."""
    return ProviderError(
        f"On Azure the model {model!r} answers only through a deployment.",
        "Deploy it (az cognitiveservices account deployment create ... --model-name MODEL "
        "--model-version 1 --model-format OpenAI) and give the deployment's name as the model, or "
        "give arm_token and resource_id to have it deployed for the while.",
    )


class Deployments:
    """Makes and deletes deployments of one Azure resource."""

    def __init__(self, settings: Settings) -> None:
        given = settings.given
        resource = (given.resource_id or "").rstrip("/")
        if not _RESOURCE.fullmatch(resource):
            raise InputError(
                "To deploy a model, Azure needs the resource it belongs to.",
                "Give resource_id as /subscriptions/ID/resourceGroups/NAME/providers/"
                "Microsoft.CognitiveServices/accounts/NAME.",
            )
        self._settings = settings
        self._root = given.arm_url.rstrip("/")
        self._resource = resource
        self._sku = given.sku
        self._token = given.arm_token or ""
        self._lease: Lease | None = None

    async def make(self, model: str) -> str:
        """Deploy `model` and return the deployment's name, once it is ready."""
        name = f"vtune-{secrets.token_hex(6)}"
        self._lease = self._leases().begin("openai", self._settings.base_url, name)
        self._lease = self._lease.note(resource_id=self._resource)
        doing = Doing(f"deploy {model!r}", f"resource or model {model!r}", (self._token,))
        wanted = {
            "sku": {"name": self._sku, "capacity": CAPACITY},
            "properties": {"model": {"format": "OpenAI", "name": model, "version": "1"}},
        }
        deadline = asyncio.get_running_loop().time() + READY_S
        answer = await self._send("PUT", self._resource, name, doing, wanted)
        while (state := _state(answer)) != "succeeded":
            if state in ("failed", "canceled"):
                raise ProviderError(
                    f"Azure could not deploy {model!r} ({state}).",
                    "Look at the resource's quota, or choose another sku.",
                )
            if asyncio.get_running_loop().time() >= deadline:
                raise ProviderError(
                    f"Azure has not deployed {model!r} in {READY_S:g} s.", "Try again later."
                )
            await asyncio.sleep(PAUSE_S)
            answer = await self._send("GET", self._resource, name, doing)
        return name

    async def unmake(self) -> None:
        """Delete what `make` made; what cannot be deleted now is left to the next."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._release(lease)

    async def sweep(self) -> None:
        """Delete deployments that processes left which are no more."""
        for lease in self._leases().left_over("openai", self._settings.base_url):
            log.warning("Deleting the deployment %s, which was left over.", lease.name)
            await self._release(lease)

    async def _release(self, lease: Lease) -> None:
        resource = lease.known.get("resource_id", self._resource)
        doing = Doing(f"delete the deployment {lease.name}", lease.name, (self._token,))
        try:
            await self._send("DELETE", resource, lease.name, doing)
        except VTuneError as error:
            log.error(
                "The deployment %s still stands and may cost money; delete it. %s",
                lease.name,
                error,
            )
            lease.drop()
        except BaseException:
            lease.drop()
            raise
        else:
            lease.close()

    async def _send(
        self, method: str, resource: str, name: str, doing: Doing, body: Any = None
    ) -> Mapping[str, Any]:
        """Return the reply's object; for DELETE one that is gone is as good."""
        url = f"{self._root}{resource}/deployments/{name}?api-version={API_VERSION}"
        try:
            async with httpx.AsyncClient(timeout=self._settings.given.timeout) as client:
                response = await client.request(
                    method,
                    url,
                    headers={"authorization": f"Bearer {self._token}"},
                    json=body,
                )
        except httpx.HTTPError as error:
            raise NetworkError(
                f"No answer came from Azure's control plane ({type(error).__name__}).",
                "Check arm_url and the network, then go on.",
                acted=not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout),
            ) from None
        headers = {key.lower(): value for key, value in response.headers.items()}
        reply = Reply(response.status_code, headers, response.content)
        if method == "DELETE" and (reply.ok or reply.status == 404):
            return {}
        if not reply.ok:
            raise failure(reply, doing)
        found = reply.json()
        if not isinstance(found, dict):
            raise garbage(reply, doing)
        return found

    def _leases(self) -> Leases:
        return Leases()


def _state(answer: Mapping[str, Any]) -> str:
    properties = answer.get("properties")
    state = properties.get("provisioningState") if isinstance(properties, dict) else None
    return str(state).lower()
