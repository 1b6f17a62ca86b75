"""The three kinds of job, under the host's names; modules.processing shows them where the host has them."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from modules import extra_networks, images, sd_samplers, shared
from PIL import Image, ImageFilter

opt_C, opt_f = 4, 8


def _completing(stored):
    """A property; once both the scripts and their arguments are there, the scripts are set up."""

    def complete(p, value):
        setattr(p, stored, value)
        if p.scripts and p.script_args and not p.scripts_setup_complete:
            p.setup_scripts()

    return property(attrgetter(stored), complete)


@dataclass(repr=False)
class StableDiffusionProcessing:
    sd_model: object = None
    outpath_samples: str = None
    outpath_grids: str = None
    prompt: str = ""
    negative_prompt: str = ""
    styles: list = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str = None
    scheduler: str = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool = None
    tiling: bool = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict = None
    denoising_strength: float = None
    override_settings: dict = None
    override_settings_restore_afterwards: bool = True
    sampler_index: int = None
    refiner_checkpoint: str = None
    refiner_switch_at: float = None
    disable_extra_networks: bool = False
    firstpass_image: Any = None
    comments: dict = None

    scripts_value = script_args_value = sampler = rng = c = uc = paste_to = extra_network_data = user = None
    all_prompts = all_negative_prompts = all_seeds = all_subseeds = None
    prompts = negative_prompts = seeds = subseeds = None
    sd_model_name = sd_model_hash = sd_vae_name = sd_vae_hash = None
    scripts_setup_complete = is_hr_pass = is_api = False
    iteration = batch_index = 0
    cached_c = [None, None]  # one for all jobs; ADetailer gives its own jobs others
    cached_uc = [None, None]

    def __post_init__(self):
        self.comments, self.styles = {}, self.styles or []
        for name in ("script_args", "override_settings", "extra_generation_params"):
            setattr(self, name, getattr(self, name) or {})

    @property
    def sd_model(self):  # noqa: F811
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value): ...

    scripts, script_args = _completing("scripts_value"), _completing("script_args_value")

    def setup_scripts(self):
        runner, self.scripts_setup_complete = self.scripts, True
        runner.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text):
        self.comments[text] = 1

    def init(self, all_prompts, all_seeds, all_subseeds): ...

    def close(self):
        for name in ("c", "uc", "sampler"):
            setattr(self, name, None)

    def setup_prompts(self):
        """One of each for every picture of the job; a list has them already."""
        self.all_prompts = self._for_all(self.prompt)
        self.all_negative_prompts = self._for_all(self.negative_prompt)

    def _for_all(self, text):
        return text if isinstance(text, list) else [text] * (self.batch_size * self.n_iter)

    def _of_batch(self, values):
        first = self.batch_size * self.iteration
        return values[first : first + self.batch_size]

    def _conds(self, prompts, caches, data):
        """From the first of the caches that holds just these, else made anew and put into the first one."""
        skip, checkpoint = shared.opts.CLIP_stop_at_last_layers, self.sd_model.sd_checkpoint_info
        asked = checkpoint, skip, prompts, data, self.steps, self.width, self.height
        for question, answer in caches:
            if question == asked:
                return answer
        caches[0][:] = asked, self.sd_model.cond_stage_model(prompts, skip)
        return caches[0][1]

    def setup_conds(self):
        plain, data = self._conds, self.extra_network_data
        self.uc = plain(self.negative_prompts, [self.cached_uc], data)
        self.c = plain(self.prompts, [self.cached_c], data)

    def parse_extra_network_prompts(self):
        self.prompts, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def get_token_merging_ratio(self, for_hr=False):
        return shared.opts.data.get("token_merging_ratio", 0)

    def save_samples(self) -> bool:
        return shared.opts.samples_save and not self.do_not_save_samples


@dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    init_images: list = None
    resize_mode: int = 0
    denoising_strength: float = 0.75
    mask: Any = None
    mask_blur: int = 4
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float = None

    overlay_image = None

    def __post_init__(self):
        super().__post_init__()
        self.mask, self.image_mask = None, self.mask

    def init(self, all_prompts, all_seeds, all_subseeds):
        given = self.init_images[0].convert("RGB")
        cut = given if self.image_mask is None else self._cut_out(given)
        cut = images.resize_image(self.resize_mode, cut, self.width, self.height)
        self._painted = sd_samplers._images_to_latents(self.sd_model, [cut] * self.batch_size)
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        self.extra_generation_params["Denoising strength"] = self.denoising_strength

    def _cut_out(self, picture):
        """What a mask is for: the box around it, widened by the padding, at the size of the whole job."""
        blur = ImageFilter.GaussianBlur(self.mask_blur)
        self.overlay_image, self.overlay_mask = picture, self.image_mask.convert("L").filter(blur)
        left, top, right, bottom = self.overlay_mask.getbbox()
        pad = self.inpaint_full_res_padding
        wide, high = picture.size
        self.paste_to = (max(left - pad, 0), max(top - pad, 0), min(right + pad, wide), min(bottom + pad, high))
        return picture.crop(self.paste_to)

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        noise = self.rng.next()
        return self.sampler.sample_img2img(self, self._painted, noise, conditioning, unconditional_conditioning)

    def paste_back(self, picture):
        """The whole picture again: the new one in its box, blended by the mask."""
        left, top, right, bottom = self.paste_to
        whole = self.overlay_image.copy()
        whole.paste(picture.resize((right - left, bottom - top), Image.LANCZOS), (left, top))
        return Image.composite(whole, self.overlay_image, self.overlay_mask)
