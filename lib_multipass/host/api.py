"""Our own endpoints beside the webui's, under the same password."""

from __future__ import annotations

from collections.abc import Callable
from secrets import compare_digest
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from modules import script_callbacks, shared

from lib_multipass.forecast import Forecast
from lib_multipass.host.release import Released, release
from lib_multipass.host.requests import PlanRequest, plan_of
from lib_multipass.messages import MultipassError


def install() -> None:
    """Add the endpoints whenever the webui starts its server; only if its own API is on."""
    script_callbacks.on_app_started(_add)


def _add(_demo: Any, app: FastAPI) -> None:
    if not (shared.cmd_opts.api or shared.cmd_opts.nowebui):
        return
    guards = [Depends(_authorised)] if shared.cmd_opts.api_auth else []
    common: dict[str, Any] = {"dependencies": guards, "tags": ["Multipass"]}
    app.add_api_route("/multipass/v1/plan", post_plan, methods=["POST"], response_model=Forecast, **common)
    app.add_api_route("/multipass/v1/release", post_release, methods=["POST"], response_model=Released, **common)


def post_plan(request: PlanRequest) -> Forecast:
    """What a txt2img request would do: passes, where each checkpoint is and will be kept, memory, warnings."""
    return _answer(lambda: plan_of(request))


def post_release() -> Released:
    """Let go of all checkpoints that only Multipass keeps loaded, once the running job has ended."""
    return _answer(release)


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except MultipassError as error:
        raise HTTPException(error.status_code, error.detail) from None


def _authorised(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008 - how FastAPI asks
    """The names and passwords of ``--api-auth`` (``name:password,name:password``), as the webui's own API has them."""
    pairs = (pair.split(":") for pair in shared.cmd_opts.api_auth.split(","))
    given = (credentials.username.encode(), credentials.password.encode())
    for name, password in pairs:
        if compare_digest(name.encode(), given[0]) and compare_digest(password.encode(), given[1]):
            return
    raise HTTPException(401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"})
