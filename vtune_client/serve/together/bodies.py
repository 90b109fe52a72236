"""What clients send, checked at the edge. Names are the SDK's (`together/types/*_params.py`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Purpose = Literal["fine-tune", "calibration", "eval", "batch-api"]
FileKind = Literal["jsonl", "csv", "parquet"]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class Body(BaseModel):
    """A body of version 1 of the API; fields that are not known here are passed over."""

    model_config = ConfigDict(protected_namespaces=())


class CamelBody(Body):
    """A body of version 2 of the API."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class UploadBody(Body):
    file_name: Name
    purpose: Purpose = "fine-tune"
    file_type: FileKind = "jsonl"
    checksum: Sha256 | None = None


class InitiateBody(UploadBody):
    file_size: Annotated[int, Field(gt=0)]
    num_parts: Annotated[int, Field(gt=0, le=1000)]


class Part(Body):
    part_number: int
    etag: str


class AbortBody(Body):
    upload_id: str
    file_id: str


class CompleteBody(AbortBody):
    parts: list[Part]


class Method(Body):
    model_config = ConfigDict(extra="allow")

    method: str = "sft"


class PriceBody(Body):
    training_file: str
    validation_file: str | None = None
    model: str | None = None
    from_checkpoint: str | None = None
    n_epochs: Annotated[int, Field(gt=0)] = 1


class FineTuneBody(PriceBody):
    """Everything else a client asks for is kept to be shown again (`model_extra`)."""

    model_config = ConfigDict(extra="allow")

    batch_size: Annotated[int, Field(gt=0)] | Literal["max"] = "max"
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    random_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    suffix: Annotated[str, Field(max_length=40)] | None = None
    training_method: Method = Method()
    training_type: dict[str, Any] | None = None


class AnswerBody(Body):
    model: str
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    seed: int | None = None
    stop: str | list[str] = []
    logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    echo: bool = False
    n: int = 1
    stream: bool = False


class ChatBody(AnswerBody):
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    tools: list[dict[str, Any]] = []


class CompletionBody(AnswerBody):
    prompt: Annotated[str, Field(min_length=1)]


class Autoscaling(CamelBody):
    min_replicas: Annotated[int, Field(ge=0, le=64)] | None = None
    max_replicas: Annotated[int, Field(ge=0, le=64)] | None = None
    scale_to_zero_window: str | None = None


class Weight(CamelBody):
    deployment_id: str
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]


Visibility = Literal["VISIBILITY_PRIVATE", "VISIBILITY_INTERNAL"]
Label = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]+/)*[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class EndpointBody(CamelBody):
    name: Label
    visibility: Visibility = "VISIBILITY_PRIVATE"


class EndpointChange(CamelBody):
    etag: str | None = None
    name: Label | None = None
    traffic_split: list[Weight] | None = None
    visibility: Visibility | None = None


class DeploymentBody(CamelBody):
    name: Label
    autoscaling: Autoscaling
    model: str | None = None
    model_id: str | None = None
    config: str | None = None
    config_id: str | None = None
    inactive_timeout: int | None = None


class DeploymentChange(CamelBody):
    etag: str | None = None
    name: Label | None = None
    autoscaling: Autoscaling | None = None
    inactive_timeout: int | None = None
