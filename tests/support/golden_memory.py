"""Cases of the golden record about memory: where a job's checkpoints are kept."""

from __future__ import annotations

from support.golden_jobs import FACE, B, on

KEPT = {"args": B, "job": {**on("old", hr_upscaler="Lanczos"), "width": 512, "height": 512}}
PLACES = {
    f"{wish}, {vram} GB VRAM, {ram} GB RAM, {faces or 'no faces'}": {
        **KEPT,
        "args": {"checkpoint": "large", "keep": wish, "adetailer": faces or "Same as second pass"},
        "faces": [FACE] if faces else [],
        "vram": vram,
        "ram": ram,
    }
    for wish, vram, ram, faces in [
        *(("Automatic", 24, 64, "inpaint"), ("Automatic", 14.2, 64, "inpaint")),
        *(("Automatic", 12, 64, ""), ("Automatic", 12, 10, "inpaint")),
        *(("Automatic", 12, 5, "inpaint"), ("Automatic", 8, 8, ""), ("Automatic", 4, 64, "")),
        *(("In VRAM", 12, 64, ""), ("In VRAM", 8, 64, "inpaint"), ("In RAM", 24, 64, ""), ("In RAM", 24, 6, "inpaint")),
        *(("As the webui is set", 24, 64, ""), ("Automatic", None, 8, ""), ("Automatic", None, 13, "inpaint")),
        *(("In VRAM", None, 64, ""), ("As the webui is set", None, 64, "")),
    ]
}
MEMORY = {
    f"memory: {name}": {**KEPT, "args": {"checkpoint": "large"}, "vram": 24, **given}
    for name, given in {
        "the setting says RAM": {"options": {"multipass_keep": "In RAM"}},
        "the setting says VRAM": {"options": {"multipass_keep": "In VRAM"}, "vram": 10},
        "the setting says as set": {"options": {"multipass_keep": "As the webui is set"}},
        "the flag says RAM": {"flags": {"multipass_keep": "ram"}},
        "the flag says webui": {
            "flags": {"multipass_keep": "webui"},
            "args": {"checkpoint": "large", "keep": "In VRAM"},
        },
        "a large reserve of VRAM": {"options": {"multipass_vram_reserve": 12}},
        "a large reserve of RAM": {"options": {"multipass_ram_reserve": 60}, "vram": 10},
        "sizes that are not round": {
            "job": {**KEPT["job"], "width": 520, "hr_scale": 1.37},
            "options": {"multipass_vram_reserve": 0.1234567899, "multipass_ram_reserve": 0.9876543219},
        },
        "reserves of the flags": {"flags": {"multipass_vram_reserve": 14.0, "multipass_ram_reserve": 0.0}},
        "the user's own limit": {"options": {"sd_checkpoints_limit": 4, "multipass_keep": "As the webui is set"}},
        "the user keeps them on the device": {
            "options": {
                **{"sd_checkpoints_limit": 4, "sd_checkpoints_keep_in_cpu": False},
                "multipass_keep": "As the webui is set",
            }
        },
        "LoRAs": {"job": {**KEPT["job"], "prompt": "a cat <lora:style:1>"}, "vram": 12, "ram": 20},
        "large pictures": {"job": {**KEPT["job"], "width": 1024, "height": 1536, "batch_size": 2}},
        "--medvram": {"flags": {"medvram": True}, "vram": 8},
        "--medvram-sdxl": {"flags": {"medvram_sdxl": True}, "vram": 8},
        "--lowvram": {"flags": {"lowvram": True}, "vram": 4},
        "--no-half": {"flags": {"no_half": True}, "vram": 14},
        "fp8": {"options": {"fp8_storage": "Enable"}, "vram": 10},
        "fp8 for SDXL": {"options": {"fp8_storage": "Enable for SDXL", "cache_fp16_weight": True}, "vram": 10},
        "files without memmapping": {"options": {"disable_mmap_load_safetensors": True}, "ram": 16, "vram": 10},
        "a refiner": {"job": {**KEPT["job"], "refiner_checkpoint": "refine", "refiner_switch_at": 0.8}, "vram": 14},
        "a VAE of the second pass": {"args": {"checkpoint": "large", "vae": "other"}, "vram": 12},
        "one file": {"args": {"checkpoint": "old"}, "vram": 6},
        "loaded already": {"args": B, "job": {"hr_upscaler": "Lanczos"}, "loaded": ["beta"], "vram": None},
        "loaded already, two": {"args": {"checkpoint": "gamma"}, "job": {}, "loaded": ["beta", "gamma"], "vram": None},
        "loaded for the user": {
            "options": {"sd_checkpoints_limit": 3},
            "args": B,
            "job": {},
            "loaded": ["gamma"],
            "vram": None,
        },
    }.items()
}

KEEPING = {**PLACES, **MEMORY}
"""By name, what :class:`support.golden_cases.Case` takes."""
