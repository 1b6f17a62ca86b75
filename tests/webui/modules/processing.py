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
    errors,
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

    def __init__(
        self,
        p: StableDiffusionProcessing,
        images_list,
        seed=-1,
        info="",
        subseed=None,
        all_prompts=None,
        all_negative_prompts=None,
        all_seeds=None,
        all_subseeds=None,
        index_of_first_image=0,
        infotexts=None,
        comments="",
    ):
        self.images, self.seed, self.subseed, self.info = images_list, seed, subseed, info
        self.comments = "".join(text + "\n" for text in p.comments)
        for name in self._of_job:
            setattr(self, name, getattr(p, name))
        self.all_prompts = all_prompts or p.all_prompts or [p.prompt]
        self.all_negative_prompts = all_negative_prompts or p.all_negative_prompts or [p.negative_prompt]
        self.prompt, self.negative_prompt = self.all_prompts[0], self.all_negative_prompts[0]
        self.all_seeds = all_seeds or p.all_seeds or [seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [subseed]
        self.index_of_first_image = index_of_first_image
        self.infotexts = infotexts or [info] * len(images_list)
        self.job_timestamp = shared.state.job_timestamp
        self.clip_skip = shared.opts.CLIP_stop_at_last_layers

    def js(self):
        """As JSON; what JSON cannot hold becomes null."""
        names = self._of_job + self._of_info
        return json.dumps({name: getattr(self, name) for name in names}, default=lambda known: None)

    def infotext(self, p: StableDiffusionProcessing, index):
        return create_infotext(p, self.all_prompts, self.all_seeds, self.all_subseeds, index=index)


def get_fixed_seed(seed):
    seed = -1 if seed in ("", None) else int(seed)
    return random.randrange(2**32 - 2) if seed == -1 else seed


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    decoded = DecodedSamples(model.decode_first_stage(batch))
    if check_for_nans:
        devices.test_for_nans(batch, where="denoiser")
    return decoded


class DecodedSamples(list):
    already_decoded = True


def _to_picture(sample):
    pixels = ((sample.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).contiguous()
    return Image.frombytes("RGB", (sample.shape[2], sample.shape[1]), pixels.numpy().tobytes())


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
    """Values may be a list with an entry per picture, or a function of what is known here."""
    index = 0 if use_main_prompt else index if index is not None else position_in_batch + iteration * p.batch_size
    negative_prompt = (all_negative_prompts or p.all_negative_prompts)[index]
    clip_skip, prompt_text = shared.opts.CLIP_stop_at_last_layers, all_prompts[index]
    known = {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "CFG scale": p.cfg_scale,
        "Seed": all_seeds[index],
        "Size": f"{p.width}x{p.height}",
        "Model hash": p.sd_model_hash,
        "Model": p.sd_model_name,
        "VAE": p.sd_vae_name,
        "Denoising strength": p.extra_generation_params.get("Denoising strength"),
        "Clip skip": None if clip_skip <= 1 else clip_skip,
        "Tiling": "True" if p.tiling else None,
        **p.extra_generation_params,
        "Version": "1.6.0-miniature" if mini.old_host else "v1.10.1-miniature",
    }
    about = {"p": p, "index": index, "prompt_text": prompt_text, "negative_prompt": negative_prompt}
    known = {key: _infotext_value(key, value, index, about) for key, value in known.items()}
    pairs = [k if k == v else f"{k}: {infotext_utils.quote(v)}" for k, v in known.items() if v is not None]
    negative = f"\nNegative prompt: {negative_prompt}" if negative_prompt else ""
    return f"{prompt_text}{negative}\n{', '.join(pairs)}".strip()


def _infotext_value(key, value, index, about):
    try:
        if isinstance(value, list):
            return value[index]
        return value(**about) if callable(value) else value
    except Exception:
        errors.report(f"no infotext for {key}", exc_info=True)
        return None


def process_images(p: StableDiffusionProcessing) -> Processed:
    if p.scripts is not None:
        p.scripts.before_process(p)
    opts, overrides = shared.opts, p.override_settings
    stored_opts = {key: opts.data[key] for key in overrides if mini.old_host or key in opts.data}
    try:
        # Without a known checkpoint among the overrides, the selected one comes back before they apply.
        if sd_models.checkpoint_aliases.get(overrides.get("sd_model_checkpoint")) is None:
            overrides.pop("sd_model_checkpoint", None)
            sd_models.reload_model_weights()
        for key, value in overrides.items():
            opts.set(key, value, is_api=True, run_callbacks=False)
            if key == "sd_model_checkpoint":
                sd_models.reload_model_weights()
            if key == "sd_vae":
                sd_vae.reload_vae_weights()
        sd_models.apply_token_merging(p.sd_model, p.get_token_merging_ratio())
        return process_images_inner(p)
    finally:
        sd_models.apply_token_merging(p.sd_model, 0)
        if p.override_settings_restore_afterwards:
            for key, value in stored_opts.items():
                setattr(opts, key, value)
                if key == "sd_vae":
                    sd_vae.reload_vae_weights()


def process_images_inner(p: StableDiffusionProcessing) -> Processed:
    """Names and hashes for the infotext are taken here, from the model that starts the job."""
    devices.torch_gc()
    seed, subseed = get_fixed_seed(p.seed), get_fixed_seed(p.subseed)
    p.sampler_name = p.sampler_name or "Euler"
    p.sd_model_name, p.sd_model_hash = (shared.sd_model.sd_checkpoint_info.name_for_extra, p.sd_model.sd_model_hash)
    p.sd_vae_name = sd_vae.get_loaded_vae_name()
    sd_hijack.model_hijack.apply_circular(bool(p.tiling))
    refined = p.refiner_checkpoint not in (None, "", "None", "none")
    if refined and sd_models.get_closet_checkpoint_match(p.refiner_checkpoint) is None:
        raise RuntimeError(f"no checkpoint is called {p.refiner_checkpoint}")
    p.setup_prompts()
    p.all_seeds = [seed + i for i in range(len(p.all_prompts))]
    p.all_subseeds = [subseed + i for i in range(len(p.all_prompts))]
    if p.scripts is not None:
        p.scripts.process(p)
    infotexts, pictures = [], []
    with torch.no_grad():
        p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        if shared.state.job_count == -1:
            shared.state.job_count = p.n_iter
        for iteration in range(p.n_iter):
            p.iteration = iteration
            shared.state.skipped = False
            if shared.state.interrupted:
                break
            _process_batch(p, infotexts, pictures)
    if p.extra_network_data and not p.disable_extra_networks:
        extra_networks.deactivate(p, p.extra_network_data)
    infotexts = infotexts or [Processed(p, []).infotext(p, 0)]
    result = Processed(p, pictures, p.all_seeds[0], infotexts[0], p.all_subseeds[0], infotexts=infotexts)
    if p.scripts is not None:
        p.scripts.postprocess(p, result)
    return result


def _process_batch(p, infotexts, pictures):
    """One iteration: the selected checkpoint first, then the hooks in the host's order."""
    sd_models.reload_model_weights()
    p.prompts, p.negative_prompts = p._of_batch(p.all_prompts), p._of_batch(p.all_negative_prompts)
    p.seeds, p.subseeds = p._of_batch(p.all_seeds), p._of_batch(p.all_subseeds)
    p.rng = rng.ImageRNG((opt_C, p.height // opt_f, p.width // opt_f), p.seeds)
    batch = {"batch_number": p.iteration, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
    if p.scripts is not None:
        p.scripts.before_process_batch(p, **batch)
    p.parse_extra_network_prompts()
    if not p.disable_extra_networks:
        extra_networks.activate(p, p.extra_network_data)
    if p.scripts is not None:
        p.scripts.process_batch(p, **{**batch, "prompts": p.prompts})
    p.setup_conds()
    if p.iteration == 0:
        text = Processed(p, []).infotext(p, 0)
        (Path(paths.data_path) / "params.txt").write_text(text, encoding="utf8")
    if p.n_iter > 1:
        shared.state.job = f"Batch {p.iteration + 1} out of {p.n_iter}"
    samples = p.sample(p.c, p.uc, p.seeds, p.subseeds, p.subseed_strength, p.prompts)
    if p.scripts is not None and not mini.old_host:
        after = scripts.PostSampleArgs(samples)
        p.scripts.post_sample(p, after)
        samples = after.samples
    if not getattr(samples, "already_decoded", False):
        samples = decode_latent_batch(p.sd_model, samples, check_for_nans=True)
    if lowvram.is_enabled(shared.sd_model):
        lowvram.send_everything_to_cpu()
    devices.torch_gc()
    shared.state.nextjob()
    samples = torch.stack(list(samples)).add(1).div(2).clamp(0, 1)
    if p.scripts is not None:
        p.scripts.postprocess_batch(p, samples, batch_number=p.iteration)
        p.prompts, p.negative_prompts = p._of_batch(p.all_prompts), p._of_batch(p.all_negative_prompts)
        listed = scripts.PostprocessBatchListArgs(list(samples))
        p.scripts.postprocess_batch_list(p, listed, batch_number=p.iteration)
        samples = listed.images
    for i, sample in enumerate(samples):
        p.batch_index = i
        picture, text = _finish_picture(p, _to_picture(sample * 2 - 1))
        infotexts.append(text)
        pictures.append(picture)


def _finish_picture(p, picture):
    """Where ADetailer comes in; what is masked is pasted back into the whole, then it is saved."""
    if p.scripts is not None:
        given = scripts.PostprocessImageArgs(picture)
        p.scripts.postprocess_image(p, given)
        picture = given.image
    if getattr(p, "overlay_image", None) is not None:
        picture = p.paste_back(picture)
    i = p.batch_index
    text = create_infotext(p, p.prompts, p.seeds, p.subseeds, index=i, all_negative_prompts=p.negative_prompts)
    if p.save_samples():
        images.save_image(picture, p.outpath_samples, "", p.seeds[i], p.prompts[i], "png", text, p=p)
    picture.info["parameters"] = text
    return picture, text
