"""The door: what a webui must offer, by rooms, and what of it is wrapped, by slots.

A family of webuis is a package beside this module. Its ``family.py`` names its rooms, modules of the same names in
every family. A further one is right when ``tests/unit/test_door.py`` passes for it, and the scenarios on a real one.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

ROOMS = {
    "gathering": {
        "of_job": "everything that a decision about a job needs, as a Situation; read once",
        "of_request": "the same for a request that is not run",
        "pixel_upscalers": "names of the upscalers that work on pixels",
    },
    "checkpoints": {
        "known": "all that the webui lists",
        "selected": "the one that is selected in the webui; None if there is none",
        "base_of": "the one of a job's first pass; refuses an override that leads nowhere",
        "first_of": "the one that the webui will begin a job with, whatever it was asked for",
        "settle": "lets the settings of a job say the one that it begins with",
        "by_alias": "the one that a name leads to without a guess; None if none",
        "match": "the one that the webui takes for a name where it guesses; None if none",
        "refresh": "reads the folders again",
        "tiles": "names for a dropdown",
        "tile": "the name of one in a dropdown",
        "shown": "the name in a dropdown for any name",
    },
    "vaes": {
        "names": "names of all VAE files",
        "module_names": "names of all VAE and text encoder files where they are modules; None elsewhere",
        "refresh": "reads the folders again",
        "shown": "the name in a dropdown for any name",
    },
    "files": {
        "facts_of": "what a checkpoint's file is",
        "loaded_size": "bytes that it takes once loaded",
        "made_ready": "what makes its weights ready while an earlier pass is made; None where that saves nothing",
    },
    "models": {
        "loaded": "the loaded models, each with its ``sd_checkpoint_info``",
        "active": "the checkpoint that the webui works with; None without one",
        "activate": "makes one active, without a word in the webui's settings",
        "is_in_memory": "whether no file has to be read for a checkpoint",
        "keep": "keeps a job's checkpoints as decided",
        "let_go": "returns to what the user's own settings keep",
        "mend": "lets models lie whole again after memory ran out",
        "users_limit": "how many checkpoints the user's own settings keep",
    },
    "swaps": {
        "target": "the checkpoint of a call of the wrapped swap; None for the selected one",
        "active_model": "the active model itself",
        "perform": "does the swap, and lets everything follow that belongs to the active model",
        "is_cached": "whether a checkpoint is read from the webui's own cache of state dicts",
        "completed": "a state dict with those parts that its file lacks",
    },
    "pass_vae": {
        "PassVae": "the part of a job in which its VAEs hold",
        "settle": "takes a VAE off the active checkpoint that is not wanted any more",
        "forget": "gives the memory of a VAE back that was kept for the hires pass",
    },
    "adetailer": {"replace": "gives a job other arguments for ADetailer"},
    "options": {
        "get": "a setting as the webui reads it now",
        "flag": "a flag of the command line; None if this webui does not have it",
        "is_frozen": "whether the command line freezes a setting",
        "read_as": "while it lasts, a setting reads otherwise and stays as it is stored",
    },
    "features": {
        "is_txt2img": "whether a job has a hires pass",
        "finished_picture": "the picture that a job begins with; None if it makes a first pass",
    },
    "status": {
        "is_busy": "whether a job runs",
        "is_interrupted": "whether somebody ended it",
        "is_over": "whether somebody ended it, or skipped what it is making",
        "is_stopping": "whether it ends after the present picture",
        "interrupt": "ends it",
        "text": "what stands in the progress bar",
        "job_text": "what the API calls the job",
        "say": "writes both",
        "queue": "the lock under which jobs run one at a time",
    },
    "hardware": {
        "ram_free": "bytes of RAM that are free; None if that cannot be told",
        "vram": "free and total bytes of the device; None if it has none of its own",
        "reading": "what the device says now; None where nothing can be parked on it",
        "count_anew": "sets the device's peaks back",
        "spills_over": "whether its driver takes memory of the computer where there is no more",
        "out_of_memory_count": "how often the device could not give what was asked for",
        "lack_of": "whose memory an error says was short",
        "place_of": "where a loaded model lies",
    },
    "hashes": {"is_settled": "whether the webui will not hash a file", "store": "lets it store a file's hash"},
    "loras": {
        "file_of": "the file of a network by the name in a tag",
        "read_anew": "lets networks be read again when they are next used",
    },
    "parts": {"arriving_bytes": "bytes of a split checkpoint that come to the device when it is used"},
    "pictures": {
        "wants_copies": "whether the webui will decode the first pass's latents for copies",
        "decoded": "a first pass in pixels",
        "decoded_already": "while it lasts, the webui finds these pictures where it would decode latents",
        "without_hires_pass": "what the sampling returns for a job without a hires pass",
        "infotext": "the infotext of a picture",
        "save": "saves a picture beside the webui's own",
        "has_infotext": "whether pictures have infotexts in them",
        "decode_method": "how latents are decoded",
    },
    "shares": {"made_without": "labels of other webuis that made pictures of a job without Multipass"},
    "stages": {
        "allowance": "bytes of RAM that kept stages may take",
        "sampled_from": "everything that a pass is made from, besides what its sampler is handed",
        "decoded_with": "everything that latents are decoded with, besides themselves and the settings",
        "decoded_from": "decoded pictures as the webui hands them on",
        "enlarged_from": "a call's picture and all that it is enlarged from; None if the result is not worth keeping",
        "is_plain": "whether a picture was only resized",
        "generators": "the state of the random generators",
        "put_back": "gives the generators a state",
        "steps": "how many steps the last sampler has made",
        "sampled": "lets the progress stand where it stands after so many steps",
        "raw": "what a tensor or a picture is, and its bytes",
    },
    "beginnings": {
        "asked_from": "what a job asks of its first pass, before any script has had its say",
        "made_from": "everything that a batch's first pass is made from, told before its texts are encoded",
        "notes": "what a job has noted by now: of its checkpoint, for the infotext, as comments",
        "add_notes": "notes the same again",
        "ahead": "while it lasts, first passes of later batches are made; then all is as the running batch has left it",
        "make": "makes the first pass of a batch",
        "merge_tokens": "merges tokens in the first pass's model as the job asks, where that is done once a job",
        "stay": "leaves behind what a batch would that encodes its texts and swaps, for one that does neither",
        "catch_up": "sets up for the active checkpoint what was set up for another one at a batch's beginning",
    },
    "controls": {"remember": "keeps the hires controls of a page that is being built"},
    "ui": {
        "InputAccordion": "an accordion with a tick",
        "ToolButton": "a small button",
        "refresh_symbol": "what stands on the one that reads folders again",
        "add_settings": "adds a section to the Settings page",
        "adetailer_inputs": "ADetailer's components on the txt2img tab",
        "overrides_of": "settings by name from the page's Override settings",
        "plots": "the modules of the X/Y/Z plot",
        "serves_api": "whether the webui serves its API",
    },
    "slots": {
        "install": "wraps the slots, and undoes all of it when the webui reloads its page",
        "give_back": "undoes it at once, however far it has come",
    },
}
"""Rooms, and what each of their operations is."""

WITHIN = {
    "controls": {"hires_defaults": "what the page shows at first for the hires pass"},
    "features": {
        "beyond": "architectures that cannot be loaded",
        "hires_cfg": "what the webui's own field for the hires pass's CFG scale says",
        "plain_upscaler": "the upscaler on pixels that is always there",
        "refines_hires_jobs": "whether a refiner works in a job with a hires pass",
        "vaes_are_modules": "whether VAEs are modules",
    },
    "fast_swaps": {
        "are_on": "whether checkpoints that wait in RAM may and can come to the device as fast as the bus allows",
        "bytes_beside": "bytes of RAM of a loaded model's weights that are on the device at the same time",
    },
    "files": {
        "encoders": "bytes of text encoders that a checkpoint has from these modules; a name if kept models share them",
        "loading": "how the webui loads a checkpoint",
        "read_bytes": "bytes of RAM that a file takes while it is loaded",
    },
    "hardware": {
        "computes_in_half": "whether the webui computes in half precision",
        "files_go_to_the_device": "whether files are read into VRAM",
        "is_split": "whether a checkpoint is moved in parts",
        "noise_kept": "while it lasts, nothing draws of a job's random numbers",
        "vram_to_plan": "free and total bytes that checkpoints can be parked on",
    },
    "lending": {
        "is_hollow": "whether a loaded model has nothing in a part",
        "parts_to_ask_for": "the parts that a file may not hold",
    },
    "lora_memory": {"backup_bytes": "bytes of copies that LoRAs made"},
    "models": {
        "loaded_model": "the model that has a checkpoint in it",
        "users_park_in_ram": "whether the user's own settings park models in RAM",
    },
    "options": {
        "can_override": "whether an override of a setting can be taken back",
        "disables": "whether the user has disabled an extension",
    },
    "parts": {"held_bytes": "bytes of a split model on the device", "is_split": "whether a loaded model is in parts"},
    "slots": {
        "SLOTS": "slot, what has the function, and its name",
        "OWN": "what else is wrapped, with its wrapper",
        "FITS": "what fits a slot's wrapper to this family's function",
        "CALLS": "what else is called at an event of the webui",
        "MORE": "what else is installed and uninstalled",
        "let_go": "leaves nothing that only we would clear up later",
    },
    "vaes": {
        "automatic": "the file that Automatic means for a checkpoint",
        "files": "by name, all VAE files",
        "modules": "where VAE and text encoders are modules, those of the first pass",
        "named": "what a setting says for a VAE, as a name",
        "takes_another": "whether a checkpoint has another VAE than its own in it",
    },
}
"""Operations that rooms ask of each other, so that one which several families share finds what differs."""

SLOTS = {
    "init": "the first method of a job that the webui calls outside its runner of hooks: a refused job fails here",
    "close": "how page and API end every job that they have made",
    "conds": "encodes a batch's texts, when they are final",
    "swap": "makes a checkpoint the active one",
    "read": "reads a checkpoint's state dict from disk",
    "file": "reads the tensors of a file, where that is not the slot above",
    "first_pass": "samples a picture; calls the hires pass",
    "hires_pass": "the hires pass, after the swap",
    "sampler": "makes a sampler, for each pass a new one",
    "decode": "decodes latents",
    "resize": "resizes a picture, with an upscaler",
    "faces": "samples an img2img job, as ADetailer's are",
    "texts": "encodes the hires pass's texts",
    "tags": "takes the tags of networks out of the prompts",
    "save": "saves a picture",
    "hash": "hashes a file",
    "report": "writes an error to the console that the webui swallows",
    "display": "the same, in another place",
    "request": "copies a request's script arguments into the job's",
}
"""Functions of the webui that are wrapped, by what they are for us. A family may lack one."""


class Host:
    """The webui that serves: its rooms as attributes."""

    def open(self, family: ModuleType) -> None:
        """Let this family, a module that names its rooms, serve from now on."""
        vars(self).clear()
        vars(self).update({room: getattr(family, room) for room in {**ROOMS, **WITHIN} if hasattr(family, room)})

    def __getattr__(self, room: str) -> Any:
        raise AttributeError(f"the webui that serves has no {room}; see lib_multipass.webui.base")


host = Host()
"""The door."""
