"""A webui's page without a browser: its components' values, and clicks that run its own functions through gradio.

What a browser alone does is left out: ``_js`` functions, and events that follow from a changed value.
"""

from __future__ import annotations

import base64
import io
import uuid
from typing import Any

import numpy as np
import requests
from PIL import Image

from support.client import Client


class Page:
    """One visitor of a page, as it is when it has just been loaded."""

    def __init__(self, client: Client) -> None:
        self._url = client.url
        self._session = uuid.uuid4().hex
        config = client.get("/config")
        self._events = config["dependencies"]
        self._types = {one["id"]: one["type"] for one in config["components"]}
        self._props = {one["id"]: dict(one["props"]) for one in config["components"]}
        self._ids = {one["props"]["elem_id"]: one["id"] for one in config["components"] if one["props"].get("elem_id")}

    def has(self, elem_id: str) -> bool:
        """Whether the page has it."""
        return elem_id in self._ids

    def get(self, elem_id: str, prop: str = "value") -> Any:
        """A property of a component."""
        return self._props[self._ids[elem_id]].get(prop)

    def set(self, elem_id: str, value: Any) -> None:
        """Give a component a value."""
        self._props[self._ids[elem_id]]["value"] = value

    def click(self, elem_id: str) -> None:
        """Run what the page's own functions do when this is clicked, one after the other."""
        target = self._ids[elem_id]
        for number, event in enumerate(self._events):
            if event["backend_fn"] and event["trigger"] == "click" and target in event["targets"]:
                self._run(number, event)

    def _run(self, number: int, event: dict) -> None:
        data = [None if self._types[one] == "state" else self._sent(one) for one in event["inputs"]]
        body = {"fn_index": number, "data": data, "session_hash": self._session}
        answer = requests.post(f"{self._url}/run/predict", json=body, timeout=300)
        assert answer.status_code == 200, answer.text[:500]
        for one, value in zip(event["outputs"], answer.json()["data"], strict=True):
            if isinstance(value, dict) and value.get("__type__") == "update":
                self._props[one].update({key: kept for key, kept in value.items() if key != "__type__"})
            else:
                self._props[one]["value"] = value

    def _sent(self, one: int) -> Any:
        value = self._props[one].get("value")
        # A browser has one kind of number.
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def paste(self, infotext: str) -> None:
        """PNG Info, Send to txt2img."""
        self.set("pnginfo_generation_info", infotext)
        self.click("txt2img_tab")

    def generate(self) -> list[np.ndarray]:
        """The pictures in the gallery after Generate."""
        self.click("txt2img_generate")
        return [self._picture(one) for one in self.get("txt2img_gallery") or []]

    def _picture(self, shown: Any) -> np.ndarray:
        shown = shown[0] if isinstance(shown, list) else shown
        if isinstance(shown, dict):
            data = requests.get(f"{self._url}/file={shown['name'].split('?')[0]}", timeout=60).content
        else:
            data = base64.b64decode(shown.split(";base64,")[-1])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
