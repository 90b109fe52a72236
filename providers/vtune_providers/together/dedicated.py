"""A dedicated endpoint: hardware rented by the minute, for as long as a model is asked.

It stands from `start` to `stop`. Where `stop` is never reached, it stops by itself once it has been
idle (`inactiveTimeout` is always set), and the lease written before it was made lets the next
`sweep` remove it. Paths and shapes: `together/resources/endpoints/` of the SDK, version 3, and
https://docs.together.ai/docs/dedicated-inference.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vtune_client.errors import InputError, ProviderError, VTuneError
from vtune_client.lease import Lease, Leases
from vtune_providers.together.failures import Deed, Refused, garbage, unquoted
from vtune_providers.together.line import Line, segment

log = logging.getLogger(__name__)

PROVIDER = "together"
START_WAIT_S = 1800.0
STOP_WAIT_S = 300.0
# A lost `create` may show this late; until then "it is not there" is not believed.
SHOWS_S = 60.0
ANY = "any"  # the hardware of the only config there is
_READY = "DEPLOYMENT_STATE_READY"
_OVER = ("DEPLOYMENT_STATE_FAILED", "DEPLOYMENT_STATE_STOPPED", "DEPLOYMENT_STATE_STOPPING")
_MODEL = re.compile(r"projects/([^/]+)/models/([^/]+)(?:/revisions/[^/]+)?")
_GONE = (404, 410)


@dataclass(frozen=True)
class Wanted:
    """What to rent: `hardware` as the service names it (1xnvidia-h100-80gb), a config's id, or
    `any` where there is one; and after how many idle minutes it is to stop by itself."""

    hardware: str
    idle_minutes: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.idle_minutes <= 1440:
            raise InputError(
                "idle_minutes is between 1 and 1440: an endpoint that never stops is never rented.",
                "Choose another number; Together takes 30 at least.",
            )


@dataclass(frozen=True)
class Choice:
    """A model and a config that runs it, as resource names, and on which hardware."""

    model: str
    config: str
    hardware: str


class Dedicated:
    """Rents one endpoint at a time."""

    def __init__(self, line: Line, leases: Leases) -> None:
        self._line = line
        self._leases = leases
        self._lease: Lease | None = None

    async def sweep(self) -> None:
        """Release what processes rented that are no more."""
        for lease in self._leases.left_over(PROVIDER, self._line.base_url):
            log.warning("Releasing the dedicated endpoint %s, left over from before.", lease.name)
            await self._release(lease)

    async def start(self, model: str, wanted: Wanted) -> str:
        """Rent an endpoint for `model`; return the name to ask it by. Whatever goes wrong on the
        way, nothing that was rented is left standing."""
        await self.stop()
        project = await self._line.in_project()
        choice = await self._choice(model, project, wanted.hardware)
        name = f"vtune-{secrets.token_hex(6)}"
        lease = self._leases.begin(PROVIDER, self._line.base_url, name)
        self._lease = lease.note(project=project)
        try:
            return await self._rent(project, name, choice, wanted.idle_minutes)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Give it back; safe to call twice. Never raises: what cannot be released now is left
        over, and said so."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._release(lease)

    async def _rent(self, project: str, name: str, choice: Choice, idle_minutes: int) -> str:
        root = f"/v2/projects/{segment(project)}/endpoints"
        deed = Deed("make a dedicated endpoint", f"project {project!r}")
        made = await self._line.ask("post", root, deed, body={"name": name})
        endpoint_id = _text(made, "id", deed)
        if self._lease is not None:
            self._lease = self._lease.note(endpoint=endpoint_id)
        deed = Deed("deploy the model", f"model {choice.model!r}")
        body = {
            "name": f"{name}-1",
            "model": choice.model,
            "config": choice.config,
            "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
            "inactiveTimeout": idle_minutes,
        }
        here = f"{root}/{segment(endpoint_id)}"
        deployed = await self._line.ask("post", f"{here}/deployments", deed, body=body)
        deployment_id = _text(deployed, "id", deed)
        split = [{"deploymentId": deployment_id, "weight": 1.0}]
        await self._update(here, {"trafficSplit": split}, "trafficSplit")
        await self._wait(f"{here}/deployments/{segment(deployment_id)}")
        named = made.get("name")
        return named if isinstance(named, str) and named else name

    async def _wait(self, deployment: str) -> None:
        """Return once the deployment answers; `ProviderError` if it never will, or not in time."""
        deed = Deed("say how the endpoint is", "deployment of this id")
        pause, waited = 0.1, 0.0
        while waited < START_WAIT_S:
            state, words = _state(await self._line.ask("get", deployment, deed))
            if state == _READY:
                return
            if state in _OVER:
                raise ProviderError(
                    f"The dedicated endpoint did not start ({state}{words}).",
                    "Choose other hardware, or try again later.",
                )
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, 10.0)
        raise ProviderError(
            f"The dedicated endpoint did not start in {START_WAIT_S:g} s.",
            "Try again later, or choose other hardware.",
        )

    async def _release(self, lease: Lease) -> None:
        try:
            gone = await self._remove(lease)
        except VTuneError as error:
            log.warning(
                "The dedicated endpoint %s could not be released (%s) It stops by itself when it "
                "has been idle, and is released when one is rented next.",
                lease.name,
                error.message,
            )
            lease.drop()
        except BaseException:
            lease.drop()
            raise
        else:
            lease.close() if gone else lease.drop()

    async def _remove(self, lease: Lease) -> bool:
        """Stop and delete what a lease is of; return whether it is certainly gone."""
        project = lease.known.get("project") or await self._line.in_project()
        root = f"/v2/projects/{segment(project)}/endpoints"
        endpoint_id = lease.known.get("endpoint") or await self._id_of(root, lease.name)
        if endpoint_id is None:
            return time.time() - lease.began > SHOWS_S
        here = f"{root}/{segment(endpoint_id)}"
        try:
            endpoint = await self._line.ask("get", here, Deed("show the endpoint", "endpoint"))
            await self._update(here, {"trafficSplit": []}, "trafficSplit")
            listed = endpoint.get("deployments")
            for deployment in listed if isinstance(listed, list) else ():
                if isinstance(deployment, dict) and isinstance(deployment.get("id"), str):
                    await self._undeploy(f"{here}/deployments/{segment(deployment['id'])}")
            await self._line.ask("delete", here, Deed("delete the endpoint", "endpoint"))
        except Refused as refused:
            if refused.status not in _GONE:
                raise
        return True

    async def _undeploy(self, deployment: str) -> None:
        """Stop a deployment, which ends its price, and delete it once it has stopped."""
        nothing = {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}}
        deed = Deed("delete the deployment", "deployment")
        pause, waited = 0.1, 0.0
        try:
            await self._update(deployment, nothing, "autoscaling")
            while waited < STOP_WAIT_S:
                try:
                    await self._line.ask("delete", deployment, deed)
                    return
                except Refused as refused:
                    if refused.status not in (400, 409, 412):  # it has not stopped yet
                        raise
                await asyncio.sleep(pause)
                waited, pause = waited + pause, min(pause * 2, 5.0)
        except Refused as refused:
            if refused.status not in _GONE:
                raise
            return
        raise ProviderError("The deployment does not stop.", "Delete it at the service.")

    async def _update(self, path: str, body: Mapping[str, Any], mask: str) -> None:
        deed = Deed("change the endpoint", "endpoint")
        await self._line.ask("patch", path, deed, body=body, query={"update_mask": mask})

    async def _id_of(self, root: str, name: str) -> str | None:
        deed = Deed("list its endpoints", "list of endpoints")
        for found in await self._line.pages(root, deed, query={"filter": f'name="{name}"'}):
            if _bare(found.get("name")) == name and isinstance(found.get("id"), str):
                return str(found["id"])
        return None

    async def _choice(self, model: str, project: str, hardware: str) -> Choice:
        """Return what to deploy for a model's name: one of the project's own models, or one of
        those that everybody has."""
        own = await self._own(model, project)
        choices = await self._configs(own, project) if own else await self._everybodys(model)
        if not choices:
            raise ProviderError(
                f"The service has no model {model!r} that it deploys.",
                "Check its name; `tg models list` shows the project's own.",
            )
        return _fitting(choices, hardware)

    async def _own(self, model: str, project: str) -> Mapping[str, Any] | None:
        if path := _MODEL.fullmatch(model):
            where = f"/v2/projects/{segment(path[1])}/models/{segment(path[2])}"
            found = await self._line.ask("get", where, Deed("show the model", f"model {model!r}"))
            return {**found, "path": model}
        deed = Deed("list its models", "list of models")
        listed = await self._line.pages(f"/v2/projects/{segment(project)}/models", deed)
        exact = [each for each in listed if each.get("name") == model]
        alike = [each for each in listed if _bare(each.get("name")) == _bare(model)]
        found_here = exact or (alike if len(alike) == 1 else [])
        if not found_here:
            return None
        chosen = found_here[0]
        owner = chosen.get("projectId") or project
        return {**chosen, "path": f"projects/{owner}/models/{chosen.get('id')}"}

    async def _configs(self, model: Mapping[str, Any], project: str) -> list[Choice]:
        reference = model.get("baseModel") or str(model["path"]).partition("/revisions/")[0]
        path = f"/v2/projects/{segment(project)}/configs"
        deed = Deed("list the hardware for the model", "configs of this model")
        listed = await self._line.pages(path, deed, query={"referenceModel": reference})
        return [
            Choice(
                str(model["path"]),
                f"projects/{config.get('projectId')}/configs/{config.get('id')}",
                _hardware_of(config.get("selectors")),
            )
            for config in listed
        ]

    async def _everybodys(self, model: str) -> list[Choice]:
        deed = Deed("list its models", "list of models")
        listed = await self._line.pages("/v2/supported-models", deed, query={"search": model})
        return [
            Choice(
                str(profile["model"]),
                str(profile["config"]),
                f"{profile.get('gpuCount')}x{profile.get('gpuType')}",
            )
            for each in listed
            if each.get("name") == model
            for profile in each.get("deploymentProfiles") or ()
            if isinstance(profile, dict) and profile.get("model") and profile.get("config")
        ]


def _fitting(choices: list[Choice], wanted: str) -> Choice:
    """Return the choice with the wanted hardware or config."""
    if wanted == ANY and len(choices) == 1:
        return choices[0]
    named = [choice for choice in choices if wanted in (choice.config, _bare(choice.config))]
    like = [choice for choice in choices if _alike(choice.hardware) == _alike(wanted)]
    found = named or like
    if not found:
        there = ", ".join(sorted({unquoted(choice.hardware, 60) for choice in choices}))
        raise InputError(
            f"The model is not deployed on {wanted!r}.", f"There is {there or 'no hardware'}."
        )
    return found[0]


def _alike(hardware: str) -> str:
    return hardware.lower().replace("nvidia-", "")


def _hardware_of(selectors: Any) -> str:
    listed: Iterable[Any] = selectors if isinstance(selectors, list) else ()
    pairs = [each for each in listed if isinstance(each, Mapping)]
    found = {str(each.get("key")): str(each.get("value")) for each in pairs}
    return f"{found.get('accelerator_count', '?')}x{found.get('accelerator_type', '?')}"


def _state(deployment: Mapping[str, Any]) -> tuple[str, str]:
    """Return a deployment's state, and what the service says of it."""
    status = deployment.get("status")
    status = status if isinstance(status, Mapping) else {}
    said = unquoted(status.get("message"))
    return str(status.get("state")), f": {said}" if said else ""


def _text(payload: Mapping[str, Any], key: str, deed: Deed) -> str:
    value = payload.get(key)
    if not isinstance(value, str) or not value:
        raise garbage(deed)
    return value


def _bare(name: Any) -> str:
    return str(name).rsplit("/", 1)[-1]
