"""Our part of the webui's API, on running webuis, and through other people's clients."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import threading

import numpy as np
import pytest
import requests
import webuiapi
from hypothesis import HealthCheck, given, settings
from PIL import Image

from lib_multipass.plan import args
from support import webuis
from support.client import RefusedError
from support.hosts import NEO
from support.jobs import A, B, hires, multipass, warm
from support.scale import sample

PATHS = ("checkpoints", "plan", "release", "state")

BAD_OBJECTS = {
    "not a number": ('{"checkpoint": "beta", "cfg_scale": NaN}', ["cfg_scale", "nan", "from 0 to 30"]),
    "infinite": ('{"checkpoint": "beta", "clip_skip": Infinity}', ["clip_skip", "inf", "a whole number"]),
    "too large": ('{"checkpoint": "beta", "clip_skip": 13}', ["clip_skip", "13", "from 0 to 12"]),
    "wrong type": ('{"checkpoint": ["beta"]}', ["checkpoint", "['beta']", "a text"]),
    "too long": ('{"checkpoint": "%s"}' % ("x" * 1001), ["checkpoint", "xxx", "1000 characters"]),
    "unknown key": ('{"checkpoint": "beta", "cfg": 3}', ["'cfg'", "cfg_scale"]),
    "no choice": ('{"checkpoint": "beta", "keep": "VRAM"}', ["keep", "'VRAM'", "'In VRAM'"]),
    "text for a tick": ('{"checkpoint": "beta", "enabled": "yes"}', ["enabled", "'yes'", "true or false"]),
}


FORMS = {"object": "{}", "list": "[{}]"}
OF_EACH_FORM = [("not a number", "object"), ("unknown key", "list")]
"""What each is told is tested in ``test_args``, without a webui."""


@pytest.mark.parametrize(("bad", "form"), sample([*itertools.product(BAD_OBJECTS, FORMS)], needed=OF_EACH_FORM))
def test_a_bad_object_is_refused_by_name_and_nothing_changes(pair, bad, form):
    given, words = BAD_OBJECTS[bad]
    client = pair.ours.client
    client.txt2img(prompt="x", steps=1, width=64, height=64)  # the first job of all makes Forge Neo load its checkpoint
    before = client.get("/sdapi/v1/options"), pair.ours.config, sorted(client.probe()["loaded"])
    body = '{"prompt": "x", "steps": 2, "width": 64, "height": 64, "alwayson_scripts": {"Multipass": {"args": ARGS}}}'
    body = body.replace("ARGS", FORMS[form].replace("{}", given))
    answer = requests.post(f"{client.url}/sdapi/v1/txt2img", data=body, timeout=100)
    assert answer.status_code == 422
    assert all(word in answer.json()["detail"] for word in words)
    state = client.probe()
    assert (client.get("/sdapi/v1/options"), pair.ours.config, sorted(state["loaded"])) == before
    assert (state["reads"], state["options"]) == ([], [])


@pytest.mark.both
def test_the_console_has_the_sentence_of_a_refused_request_alone(pair):
    server = pair.ours
    before = len(server.log)
    with pytest.raises(RefusedError, match="nobody") as refused:
        server.client.txt2img(**hires(), alwayson_scripts=multipass(True, "nobody"))
    said = server.log[before:]
    assert refused.value.detail in said
    assert "Traceback" not in said
    assert (refused.value.status, refused.value.error) == (422, "MultipassError")


def test_args_may_be_one_object(pair):
    expected = warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    got = warm(pair.ours, **hires(), alwayson_scripts={"multipass": {"args": {"checkpoint": B}}})
    assert got.same_as(expected)
    assert got.infotexts == expected.infotexts
    off = {"Multipass": {"args": {"checkpoint": B, "enabled": False}}}
    assert warm(pair.ours, **hires(), alwayson_scripts=off).same_as(warm(pair.stock, **hires()))


def test_null_empty_and_short_lists_mean_defaults(pair):
    plain = warm(pair.stock, **hires())
    for short in ([], [None], [None] * 9, [False, B]):
        assert warm(pair.ours, **hires(), alwayson_scripts=multipass(*short)).same_as(plain)
    second = warm(pair.ours, **hires(), alwayson_scripts=multipass({"checkpoint": B}))
    for short in ([True, B], [True, B, *[None] * 7]):
        assert warm(pair.ours, **hires(), alwayson_scripts=multipass(*short)).same_as(second)


def test_what_only_reads_does_not_wait_for_a_running_job(pair):
    client, done = pair.ours.client, threading.Event()
    warm(pair.ours, **hires(), alwayson_scripts=multipass(True, B))
    body = {**hires(), "steps": 60, "n_iter": 50, "alwayson_scripts": multipass(True, B)}

    def job():
        client.txt2img(**body)
        done.set()

    thread = threading.Thread(target=job)
    thread.start()
    try:
        while not client.get("/multipass/v1/state")["busy"]:
            assert not done.wait(0.05)
        assert {one["checkpoint"] for one in client.get("/multipass/v1/state")["loaded"]} == {A, B}
        assert len(client.get("/multipass/v1/checkpoints")) >= 3
        plan = client.post("/multipass/v1/plan", {**hires(), "alwayson_scripts": multipass(True, B)})
        assert [made["checkpoint"] for made in plan["passes"]] == [A, B]
        assert not done.is_set()
    finally:
        client.post("/sdapi/v1/interrupt")
        thread.join()


def test_reading_changes_nothing(pair):
    client = pair.ours.client
    client.post("/multipass/v1/release")
    before = client.get("/sdapi/v1/options"), client.probe()["loaded"]
    for path in ("checkpoints", "state"):
        client.get(f"/multipass/v1/{path}")
    state = client.probe()
    assert (client.get("/sdapi/v1/options"), state["loaded"]) == before
    assert (state["reads"], state["vaes"]) == ([], [])


def test_no_path_leaves_the_model_folder(pair):
    folder = str(pair.ours.data)
    for path in ("checkpoints", "state"):
        assert folder not in requests.get(f"{pair.ours.client.url}/multipass/v1/{path}", timeout=60).text


def test_script_info_shows_our_arguments(pair):
    try:
        listed = pair.ours.client.get("/sdapi/v1/script-info")
    except RefusedError as error:
        with pytest.raises(RefusedError):
            pair.stock.client.get("/sdapi/v1/script-info")
        pytest.skip(f"this webui's own script-info is broken: {error}")
    (about,) = (script for script in listed if script["name"] == "multipass")
    assert [arg["label"] for arg in about["args"]] == [args.label(name) for name in args.FIELDS]
    by_name = dict(zip(args.FIELDS, about["args"], strict=True))
    for name, entry in args.FIELDS.items():
        chosen = [args.SAME_MODULES] if name == "vae" and pair.ours.webui.kind is NEO else entry.default
        assert by_name[name]["value"] == chosen
        if entry.metadata["range"]:
            lowest, highest, step = entry.metadata["range"]
            limits = [by_name[name][key] for key in ("minimum", "maximum", "step")]
            assert limits == [lowest, highest, step]
        if entry.metadata["choices"]:
            assert by_name[name]["choices"] == list(entry.metadata["choices"])
    assert by_name["adetailer"]["choices"][:3] == list(args.ADETAILER_MODES)
    assert any(choice.startswith(B) for choice in by_name["checkpoint"]["choices"])


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis_finds_no_server_error_of_ours(pair, scale, mode):
    """Against the webui's own OpenAPI document: right and wrong requests, and answers as the document says."""
    import schemathesis  # here, since every process that runs tests would import it for two seconds
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as of_the_document

    conform = (f"{what}_conformance" for what in ("status_code", "content_type", "response_schema"))
    all_checks = [checks.not_a_server_error, *(getattr(of_the_document, name) for name in conform)]
    mode = schemathesis.GenerationMode(mode)
    document = schemathesis.openapi.from_url(f"{pair.ours.client.url}/openapi.json")
    ours = [found.ok() for found in document.include(path_regex="^/multipass/").get_all_operations()]
    assert sorted(operation.path for operation in ours) == [f"/multipass/v1/{name}" for name in PATHS]
    statuses = set()
    for operation in ours:
        if mode == schemathesis.GenerationMode.NEGATIVE and not operation.body:
            continue

        @settings(max_examples=scale.of(8, 25), deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            answer = case.call()
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=all_checks)

        ask()
    assert statuses <= {200, 400, 422}


@pytest.mark.parametrize("given_args", [[True, B], {"checkpoint": B}], ids=["list", "object"])
def test_webuiapi_as_others_use_it(pair, given_args):
    # It always sends a scheduler, which 1.9.4 writes into the infotext as it came.
    expected = warm(pair.ours, **hires(), scheduler="automatic", alwayson_scripts=multipass(True, B))
    client = webuiapi.WebUIApi(baseurl=f"{pair.ours.client.url}/sdapi/v1")
    answer = client.txt2img(
        prompt="a cat, sunny",
        negative_prompt="rain",
        seed=7,
        steps=4,
        width=64,
        height=64,
        cfg_scale=5,
        sampler_name="Euler",
        enable_hr=True,
        hr_scale=2,
        hr_upscaler="Latent",
        hr_second_pass_steps=3,
        denoising_strength=0.6,
        alwayson_scripts={"Multipass": {"args": given_args}},
    )
    assert np.array_equal(np.asarray(answer.image.convert("RGB")), expected.pictures[0])
    assert answer.info["infotexts"] == expected.infotexts


def test_webuiapi_is_told_what_is_wrong(pair):
    client = webuiapi.WebUIApi(baseurl=f"{pair.ours.client.url}/sdapi/v1")
    with pytest.raises(RuntimeError, match=r"422.*there is no checkpoint"):
        client.txt2img(prompt="x", steps=1, width=64, height=64, alwayson_scripts=multipass({"checkpoint": "zeta"}))


def test_the_python_example_of_the_documentation_runs(pair, tmp_path, monkeypatch):
    text = (webuis.REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    port = pair.ours.client.url.rsplit(":", 1)[1]
    here = {"port=7860": f"port={port}", "photo.safetensors": f"{B}.safetensors", "width=512": "width=64"}
    for there, value in (here | {"height=768": "height=64", "steps=20": "steps=2"}).items():
        assert there in example
        example = example.replace(there, value)
    monkeypatch.chdir(tmp_path)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(example, "api.md", "exec"), {})
    assert f"Multipass checkpoint: {B}.safetensors" in shown.getvalue()
    assert "Multipass CFG scale: 5" in shown.getvalue()
    assert Image.open(tmp_path / "cat.png").size == (128, 128)


def test_the_documentation_names_every_field(pair):
    text = (webuis.REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    document = pair.ours.client.get("/openapi.json")
    schemas = document["components"]["schemas"]
    ours = [path for path in document["paths"] if path.startswith("/multipass/")]
    assert all(f"{path}`" in text for path in ours)
    for name in ("PlanBody", "PlanAnswer", "StateAnswer", "CheckpointAnswer", "ReleaseAnswer", "LoadedAnswer"):
        assert [field for field in schemas[name]["properties"] if f"`{field}`" not in text] == []
    for name in args.FIELDS:
        assert f"| `{name}` |" in text
