"""The job: one object with everything that was asked, and the loop that the tabs, the API and ADetailer use."""

import json
import random
from pathlib import Path

import mini
import torch
from mini.hires_job import StableDiffusionProcessingTxt2Img  # noqa: F401
from mini.jobs import (
    StableDiffusionProcessing,
    StableDiffusionProcessingImg2Img,  # noqa: F401
    opt_C,
    opt_f,
)
from modules import (
    devices,
    extra_networks,
    images,
    infotext_utils,
    lowvram,
    paths,
    rng,
    scripts,
    sd_hijack,
    sd_models,
    sd_vae,
    shared,
)
from PIL import Image


class Processed:
    _of_job = (
        *("width", "height", "sampler_name", "cfg_scale", "steps", "batch_size", "sd_model_name", "sd_model_hash"),
        *("sd_vae_name", "denoising_strength", "extra_generation_params", "styles", "subseed_strength"),
    )
    _of_info = (
        *("prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed"),
        *("all_subseeds", "index_of_first_image", "infotexts", "job_timestamp", "clip_skip"),
    )
    index_of_first_image = 0

    def __init__(self, p: StableDiffusionProcessing, images_list, seed=-1, info="", subseed=None):
        vars(self).update({name: getattr(p, name) for name in self._of_job})
        one = {"all_prompts": p.prompt, "all_negative_prompts": p.negative_prompt, "all_seeds": seed}
        for name, value in {**one, "all_subseeds": subseed}.items():
            setattr(self, name, getattr(p, name) or [value])
        (self.prompt, *_), (self.negative_prompt, *_) = self.all_prompts, self.all_negative_prompts
        self.seed, self.subseed = seed, subseed
        self.images, self.info, self.infotexts = images_list, info, [info for _ in images_list]
        self.comments = "".join(f"{text}\n" for text in p.comments)
        self.job_timestamp, self.clip_skip = shared.state.job_timestamp, shared.opts.CLIP_stop_at_last_layers

    def js(self):
        """As JSON; what JSON cannot hold becomes null."""
        names = self._of_job + self._of_info
        return json.dumps({name: getattr(self, name) for name in names}, default=lambda known: None)


def get_fixed_seed(seed):
    seed = -1 if seed in ("", None) else int(seed)
    return random.randrange(2**32 - 2) if seed == -1 else seed


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    return DecodedSamples(model.decode_first_stage(batch))


class DecodedSamples(list):
    already_decoded = True


def _to_picture(sample):
    """From -1..1; rounded down."""
    pixels = ((sample.clamp(-1, 1) + 1) * 127.5).byte().movedim(0, 2)
    return Image.fromarray(pixels.numpy())


def create_infotext(
    p,
    all_prompts,
    all_seeds,
    all_subseeds,
    comments=None,
    iteration=0,
    position_in_batch=0,
    use_main_prompt=False,
    index=None,
    all_negative_prompts=None,
):
    """A value may be a function of what is known here."""
    index = iteration * p.batch_size + position_in_batch if index is None else index
    texts = {
        "prompt_text": all_prompts[index],
        "negative_prompt": (all_negative_prompts or p.all_negative_prompts)[index],
    }
    about = {"p": p, "index": index, **texts}
    values = {key: value(**about) if callable(value) else value for key, value in _told(p, all_seeds[index]).items()}
    quoted = {key: infotext_utils.quote(value) for key, value in values.items() if value is not None}
    last = ", ".join(key if values[key] == key else f"{key}: {value}" for key, value in quoted.items())
    negative = texts["negative_prompt"] and f"\nNegative prompt: {texts['negative_prompt']}"
    return f"{texts['prompt_text']}{negative}\n{last}".strip()


_OF_THE_JOB = {
    **{"Steps": "steps", "Sampler": "sampler_name", "CFG scale": "cfg_scale", "Seed": None, "Size": None},
    **{"Model hash": "sd_model_hash", "Model": "sd_model_name", "VAE": "sd_vae_name", "Denoising strength": None},
}


def _told(p, seed):
    """Labels of the infotext in their order; None is left out."""
    known = {label: name and getattr(p, name) for label, name in _OF_THE_JOB.items()}
    known.update({"Seed": seed, "Size": f"{p.width}x{p.height}", "Tiling": "True" if p.tiling else None})
    skip, version = shared.opts.CLIP_stop_at_last_layers, "1.6.0-miniature" if mini.old_host else "v1.10.1-miniature"
    return {**known, "Clip skip": skip if skip > 1 else None, **p.extra_generation_params, "Version": version}


def process_images(p: StableDiffusionProcessing) -> Processed:
    _tell(p, "before_process")
    wanted, data = p.override_settings, shared.opts.data
    before = {key: data[key] for key in wanted if key in data or mini.old_host}
    try:
        # Without a known checkpoint among the overrides, the selected one comes back before they apply.
        if wanted.get("sd_model_checkpoint") not in sd_models.checkpoint_aliases:
            wanted.pop("sd_model_checkpoint", None)
            sd_models.reload_model_weights()
        for key in wanted:
            shared.opts.set(key, wanted[key], is_api=True, run_callbacks=False)
            _reload_after(key, ("sd_model_checkpoint", "sd_vae"))
        sd_models.apply_token_merging(p.sd_model, p.get_token_merging_ratio())
        return process_images_inner(p)
    finally:
        sd_models.apply_token_merging(p.sd_model, 0)
        for key in before if p.override_settings_restore_afterwards else ():
            setattr(shared.opts, key, before[key])
            _reload_after(key, ("sd_vae",))


def _tell(p, hook, *args, **kwargs):
    if p.scripts is not None:
        getattr(p.scripts, hook)(p, *args, **kwargs)


def _reload_after(key, reloading):
    """A job's checkpoint stays loaded after it; its VAE does not."""
    if key in reloading:
        (sd_vae.reload_vae_weights if key == "sd_vae" else sd_models.reload_model_weights)()


def process_images_inner(p: StableDiffusionProcessing) -> Processed:
    """Names and hashes for the infotext are taken here, from the model that starts the job."""
    devices.torch_gc()
    p.sampler_name = p.sampler_name or "Euler"
    p.sd_model_name, p.sd_model_hash = p.sd_model.sd_checkpoint_info.name_for_extra, p.sd_model.sd_model_hash
    p.sd_vae_name, p.sd_vae_hash = sd_vae.get_loaded_vae_name(), sd_vae.get_loaded_vae_hash()
    sd_hijack.model_hijack.apply_circular(bool(p.tiling))
    sd_hijack.model_hijack.clear_comments()
    p.setup_prompts()
    for name, first in (("all_seeds", get_fixed_seed(p.seed)), ("all_subseeds", get_fixed_seed(p.subseed))):
        setattr(p, name, [*range(first, first + len(p.all_prompts))])
    _tell(p, "process")
    texts, pictures = _paint(p)
    about = texts[0] if texts else create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds)
    result = Processed(p, pictures, p.all_seeds[0], about, p.all_subseeds[0])
    result.infotexts = texts or [about]
    _tell(p, "postprocess", result)
    return result


@torch.no_grad()
def _paint(p):
    """All infotexts and pictures; an interruption ends it between two batches."""
    p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
    state, texts, pictures = shared.state, [], []
    state.job_count = p.n_iter if state.job_count == -1 else state.job_count
    for number in range(p.n_iter):
        p.iteration, state.skipped = number, False
        if not state.interrupted:
            _process_batch(p, texts, pictures)
    return texts, pictures


def _process_batch(p, infotexts, pictures):
    """One iteration: the selected checkpoint first, then the hooks in the host's order."""
    sd_models.reload_model_weights()
    for name in ("prompts", "negative_prompts", "seeds", "subseeds"):
        setattr(p, name, p._of_batch(getattr(p, f"all_{name}")))
    p.rng = rng.ImageRNG((opt_C, *(side // opt_f for side in (p.height, p.width))), p.seeds, p.subseeds)
    batch = {"batch_number": p.iteration, "seeds": p.seeds, "subseeds": p.subseeds}
    _tell(p, "before_process_batch", prompts=p.prompts, **batch)
    p.parse_extra_network_prompts()
    if not p.disable_extra_networks:
        extra_networks.activate(p, p.extra_network_data)
    _tell(p, "process_batch", prompts=p.prompts, **batch)
    for step in (_remember, _encode) if mini.old_host else (_encode, _remember):
        step(p)
    if p.n_iter > 1:
        shared.state.job = f"Batch {p.iteration + 1} out of {p.n_iter}"
    painted = _decoded(p, p.sample(p.c, p.uc, p.seeds, p.subseeds, p.subseed_strength, p.prompts))
    if p.sd_model.lowvram:
        lowvram.send_everything_to_cpu()
    devices.torch_gc()
    shared.state.nextjob()
    painted = torch.stack([*painted]).add(1).div(2).clamp(0, 1)
    _tell(p, "postprocess_batch", painted, batch_number=p.iteration)
    p.prompts, p.negative_prompts = p._of_batch(p.all_prompts), p._of_batch(p.all_negative_prompts)
    listed = scripts.PostprocessBatchListArgs([*painted])
    _tell(p, "postprocess_batch_list", listed, batch_number=p.iteration)
    for p.batch_index, one in enumerate(listed.images):
        pictures.append(_finish_picture(p, _to_picture(one * 2 - 1)))
        infotexts.append(pictures[-1].info["parameters"])


def _encode(p):
    p.setup_conds()
    p.extra_generation_params.update(sd_hijack.model_hijack.extra_generation_params)
    for comment in sd_hijack.model_hijack.comments:
        p.comment(comment)


def _remember(p):
    """The job's first infotext goes into a file, from which the page restores it."""
    if p.iteration == 0:
        text = create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds)
        Path(paths.data_path, "params.txt").write_text(text, encoding="utf8")


def _decoded(p, samples):
    """What the first pass left as latents is decoded here; a second pass has done it."""
    after = scripts.PostSampleArgs(samples)
    if not mini.old_host:
        _tell(p, "post_sample", after)
    if getattr(after.samples, "already_decoded", False):
        return after.samples
    return decode_latent_batch(p.sd_model, after.samples, check_for_nans=True)


def _finish_picture(p, picture):
    """Where ADetailer comes in; what is masked is pasted back into the whole, then it is saved."""
    given, n = scripts.PostprocessImageArgs(picture), p.batch_index
    _tell(p, "postprocess_image", given)
    whole = given.image if getattr(p, "overlay_image", None) is None else p.paste_back(given.image)
    text = create_infotext(p, p.prompts, p.seeds, p.subseeds, index=n, all_negative_prompts=p.negative_prompts)
    if p.save_samples():
        about = {"seed": p.seeds[n], "prompt": p.prompts[n], "extension": "png", "info": text}
        images.save_image(whole, p.outpath_samples, "", p=p, **about)
    whole.info["parameters"] = text
    return whole
