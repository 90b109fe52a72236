"""Reading requests: JSON bodies, forms with a file, places in a list."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from vtune_client.serve.files import Files
from vtune_client.serve.refusals import Refusal

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")
MAX_JSON = 8 << 20  # bytes
FORM_AROUND = 1 << 20  # bytes of a form that are not the file
BLOCK = 1 << 20


async def json_body(request: Request, model: type[Body]) -> Body:
    """Return the request's body as `model`; `Refusal` 400 naming the field that is wrong.

    What the body says is not repeated."""
    content = bytearray()
    async for block in request.stream():
        content += block
        if len(content) > MAX_JSON:
            raise Refusal(413, f"The body is larger than {MAX_JSON} bytes.")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not valid JSON.") from None
    return parsed(data, model)


def parsed(data: Any, model: type[Body]) -> Body:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refusal(
            400, f"Invalid value for {where or 'the body'}: {first['msg']}.", param=where or None
        ) from None


@asynccontextmanager
async def form(request: Request, files: Files) -> AsyncIterator[FormData]:
    """Give a multipart form, its file spooled to disk as it comes in and gone at the end."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refusal(400, "The body has to be multipart/form-data.")
    content = files.arriving(request.stream(), around=FORM_AROUND)
    try:
        fields = await MultiPartParser(request.headers, _whole(content), max_files=1).parse()
    except (MultiPartException, KeyError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "no boundary"
        raise Refusal(400, f"The form cannot be read: {reason}.") from None
    try:
        yield fields
    finally:
        await fields.close()


async def _whole(content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    async for block in content:
        yield block


def file_of(fields: FormData, name: str) -> UploadFile:
    value = fields.get(name)
    if not isinstance(value, UploadFile):
        raise Refusal(400, f"The form has no file {name!r}.", param=name)
    return value


def text_of(fields: FormData, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(400, f"The form has no field {name!r}.", param=name)
    return value


async def blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(BLOCK):
        yield block


def number(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number of the query, at least 1, at most `most`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
        raise Refusal(400, f"{name} is not a whole number above 0.", param=name)
    return min(int(text), most)


def page(
    items: Sequence[T], after: str | None, limit: int, id_of: Callable[[T], str]
) -> tuple[Sequence[T], bool]:
    """Return the items that follow the one with the id `after`, and whether there are more."""
    start = 0
    if after is not None:
        ids = [id_of(item) for item in items]
        if after not in ids:
            raise Refusal(400, "There is no item to go on after.", param="after")
        start = ids.index(after) + 1
    return items[start : start + limit], len(items) > start + limit
