"""Cases of the golden record with pictures: what a whole job does, and how it ends."""

from __future__ import annotations

from support.golden_jobs import FACE, B, on, own

LORAS = "a cat <lora:of-old:1> <lora:of-large:0.5>"

RENDERS = {
    "plain": {"args": B},
    "unticked": {"args": {"enabled": False}},
    "unticked after a job": {"args": {"enabled": False}, "loaded": ["beta"]},
    "the same checkpoint": {"args": {"checkpoint": "alpha"}},
    "the same checkpoint with settings": {
        "args": {"checkpoint": "alpha", "vae": "other", "cfg_scale": 3, "clip_skip": 2}
    },
    "everything kept": {"args": B, "loaded": ["beta"]},
    "another second": {"args": {"checkpoint": "gamma"}, "loaded": ["beta"]},
    "pixels": {"args": B, "job": {"hr_upscaler": "Lanczos"}},
    "hires off": {"args": B, "job": {"enable_hr": False, "hr_upscaler": None, "denoising_strength": None}},
    "two rounds": {"args": B, "job": {"n_iter": 2}, "faces": [FACE]},
    "a batch of two": {"args": {**B, "show_first_pass": True}, "job": {"batch_size": 2, "prompt": ["a cat", "a dog"]}},
    "two rounds, all settings": {
        "args": {**B, "vae": "other", "cfg_scale": 3.5, "clip_skip": 2, "show_first_pass": True},
        "job": {"n_iter": 2, "hr_prompt": "a dog", "hr_negative_prompt": "rain", "negative_prompt": "snow"},
    },
    "no VAE": {"args": {**B, "vae": "None"}},
    "the automatic VAE against a fixed one": {
        "args": {**B, "vae": "Automatic"},
        "options": {"sd_vae": "other.safetensors"},
    },
    "the first pass shown": {"args": {**B, "show_first_pass": True}},
    "the first pass shown, with faces": {"args": {**B, "show_first_pass": True}, "faces": [FACE]},
    "faces on the second": {"args": B, "faces": [FACE]},
    "faces on the first": {"args": {**B, "adetailer": "Same as first pass"}, "faces": [FACE]},
    "faces on a third": {"args": {**B, "adetailer": "gamma"}, "faces": [FACE]},
    "faces as set": {"args": {**B, "adetailer": "As set in ADetailer"}, "faces": [FACE, own("gamma")]},
    "faces that follow": {
        "args": {**B, "cfg_scale": 4, "clip_skip": 2, "vae": "other"},
        "job": {"hr_prompt": "a dog", "hr_sampler_name": "Euler a"},
        "faces": [FACE, {**FACE, "ad_prompt": "eyes"}],
    },
    "faces with a VAE": {"args": B, "faces": [{**FACE, "ad_use_vae": True, "ad_vae": "other.safetensors"}]},
    "faces after hires off": {"args": B, "job": {"enable_hr": False}, "faces": [FACE]},
    "first pass overridden": {"args": B, "job": on("gamma")},
    "first pass overridden to the second": {"args": B, "job": on("beta")},
    "overrides": {
        "args": {**B, "clip_skip": 1},
        "job": {"override_settings": {"CLIP_stop_at_last_layers": 2, "sd_vae": "other.safetensors"}},
    },
    "a webui's hires checkpoint": {"args": B, "job": {"hr_checkpoint_name": "gamma"}},
    "a webui's hires checkpoint alone": {"args": {"enabled": False}, "job": {"hr_checkpoint_name": "gamma"}},
    "refused": {"args": {"checkpoint": "alpah"}, "faces": [FACE]},
    "refused, with an override": {"args": {"checkpoint": "alpah"}, "job": on("gamma")},
    "refused, with a refiner that is not there": {"args": B, "job": {"refiner_checkpoint": "alpah"}},
    "no such upscaler": {"args": B, "job": {"hr_upscaler": "nothing like it"}},
    "another architecture": {"args": {"checkpoint": "drawn-large"}, "job": on("drawn-old")},
    "another architecture, faces on the first": {
        "args": {"checkpoint": "drawn-large", "adetailer": "Same as first pass"},
        "job": on("drawn-old", overrides={"sd_vae": "other.safetensors"}),
        "faces": [FACE],
    },
    "LoRAs between architectures": {
        "args": {"checkpoint": "drawn-large"},
        "job": on("drawn-old", prompt=LORAS),
        "faces": [FACE],
    },
    "LoRAs in a hires prompt of its own": {
        "args": {"checkpoint": "drawn-large"},
        "job": on("drawn-old", prompt=LORAS, hr_prompt=f"large {LORAS}"),
    },
    "LoRAs within one architecture": {"args": B, "job": {"prompt": LORAS}},
    "a part that is lent": {"args": {"checkpoint": "drawn-no-vae"}, "job": on("drawn-old")},
    "as the webui is set": {"args": {**B, "keep": "As the webui is set"}, "faces": [FACE]},
    "as the webui is set, with room for two": {
        "args": {**B, "keep": "As the webui is set"},
        "options": {"sd_checkpoints_limit": 2},
    },
    "kept in RAM": {"args": {**B, "keep": "In RAM"}},
    "too little RAM": {"args": B, "ram": 2.0005},
    "copies saved in between": {
        "args": {**B, "show_first_pass": True},
        "job": {"n_iter": 2, "hr_upscaler": "Lanczos"},
        "options": {"save_images_before_highres_fix": True},
    },
    "the same job twice": {"args": {**B, "vae": "other", "cfg_scale": 4}, "faces": [FACE], "how": "twice"},
    "interrupted in the first pass": {"args": {**B, "vae": "other"}, "how": "interrupted"},
    "a failure in the second pass": {"args": {**B, "vae": "other"}, "how": "fails"},
    "a piece of a whole": {"args": B, "faces": [FACE], "how": "pieces"},
    "a piece that is refused": {"args": {"checkpoint": "alpah"}, "how": "pieces"},
    "an axis": {"args": {"enabled": False}, "axes": {"[Multipass] Second-pass checkpoint": "beta"}},
    "two axes": {
        "args": B,
        "axes": {"[Multipass] Second-pass CFG": 3.0, "[Multipass] Second-pass VAE": "other.safetensors"},
    },
}
"""By name, what :class:`support.golden_cases.Case` takes."""
