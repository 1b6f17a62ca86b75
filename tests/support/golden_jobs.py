"""Cases of the golden record without pictures: jobs of all kinds."""

from __future__ import annotations

from typing import Any

FACE = {"ad_model": "face_yolov8n.pt"}
B = {"checkpoint": "beta"}


def on(checkpoint: Any, **more: Any) -> dict[str, Any]:
    """Fields of a job whose first pass is made with this checkpoint."""
    return {"override_settings": {"sd_model_checkpoint": checkpoint, **more.pop("overrides", {})}, **more}


def own(checkpoint: Any, **more: Any) -> dict[str, Any]:
    """A tab with a checkpoint of its own."""
    return {**FACE, "ad_use_checkpoint": True, "ad_checkpoint": checkpoint, **more}


def crossings() -> dict[str, dict]:
    """Architectures, and the upscaler between them."""
    found = {}
    for first, second in [
        *(("large", "old"), ("old", "two"), ("large", "refine"), ("refine", "large")),
        *(("alpha", "large"), ("three", "old"), ("old", "inpaint")),
        *(("inpaint", "old"), ("two", "depth"), ("no-vae", "old"), ("old", "no-vae"), ("old", "no-text")),
        *(("large", "no-vae"), ("a-vae", "old"), ("cut", "old"), ("no-unet", "old")),
    ]:
        found[f"{first} to {second}, latent"] = {"args": {"checkpoint": second}, "job": on(first, hr_upscaler="Latent")}
    for upscaler in (None, "Latent (nearest-exact)", "Nearest", "nothing like it"):
        found[f"old to large, {upscaler}"] = {"args": {"checkpoint": "large"}, "job": on("old", hr_upscaler=upscaler)}
    for upscaler in ("Nearest", "None", 5):
        found[f"old to large, replaced by {upscaler}"] = {
            "args": {"checkpoint": "large"},
            "job": on("old"),
            "options": {"multipass_crossing_upscaler": upscaler},
        }
    return found | {
        "replaced by an override": {
            "args": {"checkpoint": "large"},
            "job": on("old", overrides={"multipass_crossing_upscaler": "Nearest"}),
        },
        "inpainting with a weaker mask": {
            "args": {"checkpoint": "inpaint"},
            "job": on("old", overrides={"inpainting_mask_weight": 0.5}),
        },
    }


THREE = {"options": {"sd3_enable_t5": True}}
"""A setting that tells that the webui loads SD 3."""

VAES = (
    {
        "SD 3 where it is known": {"args": {"checkpoint": "three"}, "job": on("old"), **THREE},
        "SD 3 and a VAE for it": {"args": {"checkpoint": "three", "vae": "wide"}, "job": on("old"), **THREE},
        "SD 3 and a VAE of another": {"args": {"checkpoint": "three", "vae": "sd-vae"}, "job": on("old"), **THREE},
    }
    | {
        f"VAE {name} on {second}": {"args": {"checkpoint": second, "vae": name}, "job": on("old"), "faces": [FACE]}
        for name, second in [("wide", "large"), ("other", "no-vae"), ("None", "old")]
    }
    | {
        "a fixed VAE between latent spaces": {
            "args": {"checkpoint": "large"},
            "job": on("old", overrides={"sd_vae": "other.safetensors"}),
            "faces": [FACE, own("old")],
        },
        "a fixed VAE of the settings": {
            "args": {"checkpoint": "large"},
            "job": on("old"),
            "options": {"sd_vae": "other.safetensors"},
        },
        "a VAE of one's own beside a fixed one": {
            "args": {"checkpoint": "large", "vae": "Automatic"},
            "job": on("old", overrides={"sd_vae": "other.safetensors"}),
        },
        "an override to no VAE": {"args": B, "job": {"override_settings": {"sd_vae": "nowhere"}}},
        "an override to a list of VAEs": {"args": B, "job": {"override_settings": {"sd_vae": ["other"]}}},
    }
)

HIRES = {
    "hires off": {"args": B, "job": {"enable_hr": False}},
    "hires off and nothing set": {
        "args": B,
        "job": {"enable_hr": False, "denoising_strength": None, "hr_scale": None, "hr_upscaler": None},
    },
    "hires on and no strength": {"args": B, "job": {"denoising_strength": None}},
    "hires off, to another architecture": {
        "args": {"checkpoint": "large"},
        "job": {**on("old"), "enable_hr": False, "hr_upscaler": None},
    },
    "a hires checkpoint of the webui's": {"args": B, "job": {"hr_checkpoint_name": "gamma"}},
    "an unknown hires checkpoint": {"args": B, "job": {"hr_checkpoint_name": "nowhere"}},
    "the page's text for none": {
        "args": B,
        "job": {
            "hr_checkpoint_name": "Use same checkpoint",
            "hr_sampler_name": "Use same sampler",
            "hr_scheduler": "Use same scheduler",
        },
    },
    "a hires checkpoint, unticked": {"args": {"enabled": False}, "job": {"hr_checkpoint_name": "beta"}},
    "resized": {"args": B, "job": {"hr_resize_x": 96, "hr_resize_y": 160}},
    "a batch": {"args": B, "job": {"batch_size": 3, "n_iter": 2}},
    "too large for a plan": {"args": B, "job": {"width": 20000}},
    "much too large for a plan": {"args": B, "job": {"hr_scale": 1000}},
    "several prompts": {"args": B, "job": {"prompt": ["a cat", "a dog <lora:style:1>"], "n_iter": 2}},
}

REFINERS = {
    f"refiner {name} at {at}, {where or 'second pass'}, {first} to {second}": {
        "args": {"checkpoint": second},
        "job": on(first, refiner_checkpoint=name, refiner_switch_at=at, hr_upscaler="Lanczos"),
        "options": {"hires_fix_refiner_pass": where} if where else {},
    }
    for name, at, where, first, second in [
        *(("gamma", 0.5, None, "alpha", "beta"), ("gamma", 1.0, None, "alpha", "beta")),
        *(("gamma", None, "first pass", "alpha", "beta"), ("beta", 0.5, "both passes", "alpha", "beta")),
        *(("refine", 0.8, None, "old", "large"), ("refine", 0.8, "first pass", "old", "large")),
        *(("refine", 0.8, "both passes", "large", "old"), ("old", 0.8, None, "old", "large")),
        *(("flux", 0.8, None, "old", "old"), ("alpah", 0.5, None, "alpha", "beta")),
        *(
            ("alpah", 1.0, None, "alpha", "beta"),
            ("None", 0.5, None, "alpha", "beta"),
            ("gamma", 0.5, None, "beta", "beta"),
        ),
    ]
}

OVERRIDES = {
    f"override to {name!r:.40}": {"args": B, "job": on(name), "faces": [FACE]}
    for name in ("beta", "{gamma}", "alpah", "", None, 5, {"a": 1}, "twin")
} | {
    "unticked with an unknown override": {"args": {"enabled": False}, "job": on("nowhere")},
    "clip skip in the overrides": {
        "args": {**B, "clip_skip": 2},
        "job": {"override_settings": {"CLIP_stop_at_last_layers": 2}},
        "faces": [FACE],
    },
    "clip skip of the settings": {
        "args": {**B, "clip_skip": 3},
        "options": {"CLIP_stop_at_last_layers": 2},
        "faces": [FACE],
    },
    "another setting": {"args": B, "job": {"override_settings": {"samples_format": "jpg"}}},
}

TABS = {
    "a tab with a checkpoint, aimed": {"args": B, "faces": [own("gamma")]},
    "a tab with a checkpoint, left": {"args": {**B, "adetailer": "As set in ADetailer"}, "faces": [own("gamma")]},
    "a tab with the second pass's, left": {
        "args": {**B, "adetailer": "As set in ADetailer", "cfg_scale": 4},
        "faces": [own("beta")],
    },
    "a tab with an unknown checkpoint, left": {
        "args": {**B, "adetailer": "As set in ADetailer"},
        "faces": [own("alpah"), own("beta")],
    },
    "a tab with a list, left": {"args": {**B, "adetailer": "As set in ADetailer"}, "faces": [own(["beta"])]},
    "a tab with a VAE": {"args": {**B, "vae": "None"}, "faces": [{**FACE, "ad_use_vae": True, "ad_vae": "Automatic"}]},
    "a tab with an unknown VAE": {"args": B, "faces": [{**FACE, "ad_use_vae": True, "ad_vae": "nowhere"}]},
    "a tab with the hires VAE": {
        "args": {**B, "vae": "other"},
        "faces": [{**FACE, "ad_use_vae": True, "ad_vae": "other.safetensors"}, FACE],
    },
    "two tabs": {"args": {**B, "cfg_scale": 4, "vae": "other"}, "faces": [FACE, own("alpha", ad_prompt="eyes")]},
    "two tabs on the first": {"args": {**B, "adetailer": "Same as first pass"}, "faces": [FACE, own("gamma")]},
    "a tab that is off": {"args": {**B, "adetailer": "gamma"}, "faces": [{**FACE, "ad_tab_enable": False}]},
    "a tab without a detector": {"args": {**B, "adetailer": "gamma"}, "faces": [{"ad_model": "None"}, FACE]},
    "a tab that is nonsense": {"args": B, "faces": [{"ad_model": 5}]},
    "tabs that follow": {
        "args": {**B, "cfg_scale": 4, "clip_skip": 2, "vae": "other"},
        "job": {
            **{"hr_prompt": "a dog", "hr_negative_prompt": "rain", "hr_sampler_name": "Euler a"},
            "hr_scheduler": "Karras",
        },
        "faces": [FACE, {**FACE, "ad_use_steps": True, "ad_steps": 9, "ad_prompt": "eyes", "ad_negative_prompt": "no"}],
    },
    "tabs that do not follow": {
        "args": {**B, "cfg_scale": 4, "clip_skip": 2, "vae": "other", "adetailer_follows": False},
        "job": {"hr_prompt": "a dog", "hr_sampler_name": "Euler a"},
        "faces": [FACE, own("gamma")],
    },
    "tabs on another that follow": {
        "args": {**B, "cfg_scale": 4, "clip_skip": 2, "adetailer": "gamma"},
        "job": {"hr_prompt": "a dog"},
        "faces": [FACE],
    },
    "tabs of another latent space": {
        "args": {"checkpoint": "large", "adetailer": "Same as first pass"},
        "job": on("old"),
        "faces": [FACE, FACE],
    },
}

FLAGS = {
    f"flags {' '.join(f'{name}={value}' for name, value in flags.items())}, faces on {mode}": {
        "args": {**B, "adetailer": mode, "clip_skip": 2},
        "flags": flags,
        "faces": [FACE],
    }
    for flags, mode in [
        ({"freeze_settings": True}, "Same as second pass"),
        ({"freeze_settings": True}, "Same as first pass"),
        ({"freeze_specific_settings": "sd_model_checkpoint"}, "gamma"),
        ({"freeze_specific_settings": "CLIP_stop_at_last_layers, sd_vae"}, "Same as second pass"),
        ({"vae_path": "/somewhere/fixed.safetensors"}, "Same as second pass"),
        ({"no_half": True}, "Same as second pass"),
    ]
}

LABEL = "[Multipass] "
AXES = {
    f"axes {', '.join(f'{name} = {value}' for name, value in values.items())}": {
        "args": args,
        "axes": {LABEL + name: value for name, value in values.items()},
        "faces": [FACE],
    }
    for args, values in [
        ({"enabled": False}, {"Second-pass checkpoint": "beta"}),
        ({"enabled": False}, {"Second-pass CFG": 4.0}),
        (B, {"Second-pass checkpoint": "gamma", "Second-pass CFG": 3.0, "Second-pass clip skip": 2}),
        (B, {"ADetailer checkpoint": "gamma", "Second-pass VAE": "other.safetensors"}),
        (B, {"ADetailer checkpoint": "Same as first pass"}),
        (B, {"Second-pass checkpoint": "alpah"}),
        ({**B, "cfg_scale": 99}, {"Second-pass CFG": 3.0}),
    ]
}

PIECES = {
    "a piece of a whole": {"args": B, "faces": [FACE], "how": "pieces"},
    "a piece that is refused": {"args": {"checkpoint": "alpah"}, "how": "pieces"},
    "the same job again": {"args": {**B, "cfg_scale": 4}, "faces": [FACE], "how": "twice"},
}

JOBS = {
    **crossings(),
    **VAES,
    **HIRES,
    **REFINERS,
    **OVERRIDES,
    **TABS,
    **FLAGS,
    **AXES,
    **PIECES,
}
"""By name, what :class:`support.golden_cases.Case` takes."""
