"""A webui's HTTP API, as the tests use it."""

from __future__ import annotations

import base64
import io
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import requests
from PIL import Image

from support.hosts import A1111, Kind


class RefusedError(Exception):
    """The webui answered with an error."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"HTTP {response.status_code}: {response.text[:500]}")
        self.status = response.status_code
        told = response.json()
        self.detail, self.error = told.get("detail"), told.get("error")


@dataclass(frozen=True)
class Rendered:
    """What a job returned: pictures as ``height × width × 3`` bytes, and the infotext of each."""

    pictures: list[np.ndarray]
    infotexts: list[str]
    encoded: list[str]
    info: dict

    @property
    def infotext(self) -> str:
        """Of the first picture."""
        return self.infotexts[0]

    def same_as(self, other: Rendered) -> bool:
        """Whether all pictures are equal to the pixel."""
        pairs = zip(self.pictures, other.pictures, strict=True)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)

    def difference(self, other: Rendered) -> int:
        """The largest difference between two of their values, from 0 to 255."""
        pairs = zip(self.pictures, other.pictures, strict=True)
        return max(int(np.abs(ours.astype(int) - theirs).max()) for ours, theirs in pairs)

    def like(self, other: Rendered) -> bool:
        """Whether any picture is equal to its counterpart."""
        pairs = zip(self.pictures, other.pictures, strict=True)
        return any(np.array_equal(ours, theirs) for ours, theirs in pairs)


class Client:
    """Requests to one running webui."""

    def __init__(self, url: str, kind: Kind = A1111, by_hand: bool = False) -> None:
        self.url, self.kind, self.by_hand = url, kind, by_hand
        self.session = requests.Session()  # each connection for one request: the webui may end it at any time
        self.session.headers["Connection"], self.session.trust_env = "close", False
        self.afresh = False
        """Whether every job begins without models and encoded prompts. Forge Neo confuses by hand what one job encoded
        for its hires pass with what the next one needs."""

    def wait(self, until: float) -> None:
        """Wait until it answers; only once its log says that it is up."""
        while True:
            try:
                self.session.get(f"{self.url}/sdapi/v1/options", timeout=30)
                return
            except requests.ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def get(self, path: str) -> Any:
        """The JSON answer to a GET."""
        return self._answer(self.session.get(self.url + path, timeout=300))

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON answer to a POST."""
        return self._answer(self.session.post(self.url + path, json={} if body is None else body, timeout=300))

    def txt2img(self, **body: Any) -> Rendered:
        """Render; small and quick unless the body says otherwise."""
        return self._render("txt2img", body)

    def img2img(self, picture: str, **body: Any) -> Rendered:
        """Render from a base64 picture."""
        return self._render("img2img", {"init_images": [picture], "denoising_strength": 0.5, **body})

    def probe(self) -> dict:
        """What the probe has seen since the last call, and what is loaded now."""
        state = self.get("/probe/state")
        self.post("/probe/clear")
        return state

    def _render(self, kind: str, body: dict) -> Rendered:
        usual = {
            "prompt": "a cat, sunny",
            "negative_prompt": "rain",
            "seed": 7,
            "steps": 4,
            "width": 64,
            "height": 64,
        }
        return self.render(kind, {**usual, "cfg_scale": 5, "sampler_name": "Euler", **body})

    def render(self, kind: str, body: dict) -> Rendered:
        """Render what the body says, and nothing more."""
        if self.afresh:
            self.post("/probe/afresh")
        answer = self.post(f"/sdapi/v1/{kind}", self.kind.fitted(body, self.by_hand))
        info = json.loads(answer["info"])
        pictures = [_decode(encoded) for encoded in answer["images"]]
        return Rendered(pictures, info["infotexts"], answer["images"], info)

    @staticmethod
    def _answer(response: requests.Response) -> Any:
        if response.status_code != 200:
            raise RefusedError(response)
        return response.json()


def _decode(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
