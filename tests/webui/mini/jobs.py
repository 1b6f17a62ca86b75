"""The three kinds of job, under the host's names; modules.processing shows them where the host has them."""

from dataclasses import dataclass
from typing import Any

from modules import extra_networks, images, sd_samplers, shared
from PIL import Image, ImageFilter

opt_C, opt_f = 4, 8


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
    sd_model_name = sd_model_hash = sd_vae_name = None
    scripts_setup_complete = is_hr_pass = is_api = False
    iteration = batch_index = 0
    cached_c = [None, None]
    cached_uc = [None, None]

    def __post_init__(self):
        self.comments, self.styles = {}, self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.script_args = self.script_args or {}
        self.cached_c = StableDiffusionProcessing.cached_c
        self.cached_uc = StableDiffusionProcessing.cached_uc

    @property
    def sd_model(self):  # noqa: F811
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value): ...

    @property
    def scripts(self):
        return self.scripts_value

    @scripts.setter
    def scripts(self, value):
        self.scripts_value = value
        self._setup_once()

    @property
    def script_args(self):
        return self.script_args_value

    @script_args.setter
    def script_args(self, value):
        self.script_args_value = value
        self._setup_once()

    def _setup_once(self):
        if self.scripts_value and self.script_args_value and not self.scripts_setup_complete:
            self.setup_scripts()

    def setup_scripts(self):
        self.scripts_setup_complete = True
        self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text):
        self.comments[text] = 1

    def init(self, all_prompts, all_seeds, all_subseeds): ...

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        raise NotImplementedError

    def close(self):
        self.sampler = self.c = self.uc = None
        if not shared.opts.persistent_cond_cache:
            StableDiffusionProcessing.cached_c = [None, None]
            StableDiffusionProcessing.cached_uc = [None, None]

    def setup_prompts(self):
        self.all_prompts, self.all_negative_prompts = self._for_all(self.prompt), self._for_all(self.negative_prompt)

    def _for_all(self, text):
        return text if isinstance(text, list) else [text] * (self.batch_size * self.n_iter)

    def _of_batch(self, values):
        return values[self.iteration * self.batch_size : (self.iteration + 1) * self.batch_size]

    def cached_params(self, required_prompts, steps, extra_network_data, hires_steps=None, use_old_scheduling=False):
        return (
            required_prompts,
            steps,
            hires_steps,
            shared.opts.CLIP_stop_at_last_layers,
            shared.sd_model.sd_checkpoint_info,
            extra_network_data,
            self.width,
            self.height,
        )

    def get_conds_with_caching(self, function, required_prompts, steps, caches, extra_network_data, hires_steps=None):
        """The first of the caches that was filled for the same question, else the first one, filled anew."""
        wanted = self.cached_params(required_prompts, steps, extra_network_data, hires_steps)
        for cache in caches:
            if cache[0] is not None and cache[0] == wanted:
                return cache[1]
        caches[0][:] = wanted, function(required_prompts, shared.opts.CLIP_stop_at_last_layers)
        return caches[0][1]

    def _conds(self, prompts, caches, data):
        return self.get_conds_with_caching(self.sd_model.cond_stage_model, prompts, self.steps, caches, data)

    def setup_conds(self):
        self.uc = self._conds(self.negative_prompts, [self.cached_uc], self.extra_network_data)
        self.c = self._conds(self.prompts, [self.cached_c], self.extra_network_data)

    def parse_extra_network_prompts(self):
        self.prompts, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def save_samples(self) -> bool:
        return shared.opts.samples_save and not self.do_not_save_samples

    def get_token_merging_ratio(self, for_hr=False):
        return 0


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

    init_latent = overlay_image = None

    def __post_init__(self):
        super().__post_init__()
        self.image_mask, self.mask = self.mask, None

    def init(self, all_prompts, all_seeds, all_subseeds):
        """With a mask, "only masked" works on the box around it, at the size of the whole job."""
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        picture = self.init_images[0].convert("RGB")
        if self.image_mask is not None:
            blur = ImageFilter.GaussianBlur(self.mask_blur)
            self.overlay_image, self.overlay_mask = picture, self.image_mask.convert("L").filter(blur)
            box, pad = self.overlay_mask.getbbox(), self.inpaint_full_res_padding
            if not self.inpaint_full_res or box is None:
                box, pad = (0, 0, *picture.size), 0
            self.paste_to = (
                max(box[0] - pad, 0),
                max(box[1] - pad, 0),
                min(box[2] + pad, picture.width),
                min(box[3] + pad, picture.height),
            )
            picture = picture.crop(self.paste_to)
        picture = images.resize_image(self.resize_mode, picture, self.width, self.height)
        self.init_latent = sd_samplers._images_to_latents(self.sd_model, [picture] * self.batch_size)

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        return self.sampler.sample_img2img(
            self, self.init_latent, self.rng.next(), conditioning, unconditional_conditioning
        )

    def paste_back(self, picture):
        """The whole picture again: the new one in its box, blended by the mask."""
        left, top, right, bottom = self.paste_to
        whole = self.overlay_image.copy()
        whole.paste(picture.resize((right - left, bottom - top), Image.LANCZOS), (left, top))
        return Image.composite(whole, self.overlay_image, self.overlay_mask)
