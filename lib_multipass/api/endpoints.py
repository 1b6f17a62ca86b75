"""Our own endpoints beside the webui's, under the same password, and one object as ``args`` in the webui's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from secrets import compare_digest
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from lib_multipass.api import schema, standing
from lib_multipass.api.release import release
from lib_multipass.api.requests import PlanRequest, plan_of
from lib_multipass.webui import host
from lib_multipass.words import MultipassError


def add(_demo: Any, app: FastAPI) -> None:
    """Add the endpoints, if the webui's own API is on. It calls this whenever it starts its server."""
    if not host.ui.serves_api():
        return
    guards = [Depends(_authorised)] if host.options.flag("api_auth") else []
    refused = {401: {"model": schema.Refusal, "description": "Not a name and password of `--api-auth`."}}
    unplanned = {
        400: {"model": schema.Refusal, "description": "The body cannot be read: not UTF-8, or nested too deeply."},
        422: {"model": schema.Refusal, "description": "The request cannot be done, or is no JSON; `detail` says why."},
    }
    router = APIRouter(route_class=Route)
    for path, method, endpoint, answer in (
        ("checkpoints", "GET", get_checkpoints, list[schema.CheckpointAnswer]),
        ("state", "GET", get_state, schema.StateAnswer),
        ("plan", "POST", post_plan, schema.PlanAnswer),
        ("release", "POST", post_release, schema.ReleaseAnswer),
    ):
        router.add_api_route(
            f"/multipass/v1/{path}",
            endpoint,
            methods=[method],
            response_model=answer,
            responses={**(refused if guards else {}), **(unplanned if endpoint is post_plan else {})},
            dependencies=guards,
            tags=["Multipass"],
        )
    app.include_router(router)


class Route(APIRoute):
    """Says which value of a body has the wrong type, and not what it was.

    With pydantic 2, as Forge Neo has it, fastapi repeats it, and fails where that is no JSON: not a number, half of a
    pair of characters.
    """

    def get_route_handler(self) -> Callable:
        """What answers a request."""
        original = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await original(request)
            except RequestValidationError as error:
                told = [{name: one[name] for name in ("loc", "msg", "type")} for one in error.errors()]
                return JSONResponse({"detail": told}, 422)

        return answer


def get_checkpoints() -> list[schema.CheckpointAnswer]:
    """Facts about each checkpoint file. Nothing is loaded; a file's header is read on the first request."""
    return standing.facts()


def get_state() -> schema.StateAnswer:
    """What is kept where at this moment. Does not wait for a running job."""
    return standing.now()


def post_plan(request: schema.PlanBody) -> schema.PlanAnswer:
    """What a txt2img request would do: passes, where each checkpoint is and will be kept, memory, warnings.

    Nothing is loaded, moved or changed, and a running job is not waited for.
    """
    given = {name: value for name, value in request.dict().items() if value is not None}
    return _answer(lambda: schema.PlanAnswer(**asdict(plan_of(PlanRequest(**given)))))


def post_release() -> schema.ReleaseAnswer:
    """Let go of all checkpoints that only Multipass keeps loaded, once the running job has ended."""
    return _answer(lambda: schema.ReleaseAnswer(**asdict(release())))


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except MultipassError as error:
        raise HTTPException(error.status_code, error.detail) from None


def _authorised(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008 - how FastAPI asks
    """The names and passwords of ``--api-auth`` (``name:password,name:password``), as the webui's own API has them."""
    pairs = (pair.split(":") for pair in host.options.flag("api_auth").split(","))
    given = (credentials.username.encode(), credentials.password.encode())
    for name, password in pairs:
        if compare_digest(name.encode(), given[0]) and compare_digest(password.encode(), given[1]):
            return
    raise HTTPException(401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"})


def one_object(original: Callable) -> Callable:
    """Lets ``args`` of a request be one object; the webui takes a list alone and looks for the object's key 0.

    ``init_script_args`` is where it copies each script's arguments into the job's (1.6.0 to 1.10.1).
    """

    def init_script_args(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        scripts = request.alwayson_scripts
        listed = {title: _listed(title, given) for title, given in (scripts or {}).items()}
        if listed != (scripts or {}):
            request = request.copy(update={"alwayson_scripts": listed})
        return original(self, request, *args, **kwargs)

    return init_script_args


def _listed(title: str, given: Any) -> Any:
    ours = title.lower() == "multipass" and isinstance(given, dict) and isinstance(given.get("args"), dict)
    return {**given, "args": [given["args"]]} if ours else given
