"""The job with two passes; the checkpoint may change between them."""

from dataclasses import dataclass

import torch
from modules import extra_networks, images, processing, rng, sd_models, sd_samplers, shared

import mini
from mini.jobs import StableDiffusionProcessing, opt_f


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    enable_hr: bool = False
    denoising_strength: float = 0.75
    hr_scale: float = 2.0
    hr_upscaler: str = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str = None
    hr_sampler_name: str = None
    hr_scheduler: str = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    force_task_id: str = None

    hr_checkpoint_info = latent_scale_mode = hr_c = hr_uc = hr_extra_network_data = None
    all_hr_prompts = all_hr_negative_prompts = hr_prompts = hr_negative_prompts = None
    hr_upscale_to_x = hr_upscale_to_y = 0
    cached_hr_c = [None, None]
    cached_hr_uc = [None, None]

    def __post_init__(self):
        super().__post_init__()
        self.cached_hr_c = StableDiffusionProcessingTxt2Img.cached_hr_c
        self.cached_hr_uc = StableDiffusionProcessingTxt2Img.cached_hr_uc

    def calculate_target_resolution(self):
        x, y = self.hr_resize_x, self.hr_resize_y
        if x == 0 and y == 0:
            self.extra_generation_params["Hires upscale"] = self.hr_scale
            x, y = int(self.width * self.hr_scale), int(self.height * self.hr_scale)
        else:
            self.extra_generation_params["Hires resize"] = f"{x}x{y}"
        self.hr_upscale_to_x = x or y * self.width // self.height
        self.hr_upscale_to_y = y or x * self.height // self.width

    def init(self, all_prompts, all_seeds, all_subseeds):
        """Here a name becomes a checkpoint; an old host takes "Use same checkpoint" for a name."""
        if not self.enable_hr:
            return
        known = self.extra_generation_params
        known["Denoising strength"] = self.denoising_strength
        if self.hr_checkpoint_name and (mini.old_host or self.hr_checkpoint_name != "Use same checkpoint"):
            self.hr_checkpoint_info = sd_models.get_closet_checkpoint_match(self.hr_checkpoint_name)
            if self.hr_checkpoint_info is None:
                raise Exception(f"no checkpoint goes by the name {self.hr_checkpoint_name}")  # noqa: TRY002
            known["Hires checkpoint"] = self.hr_checkpoint_info.short_title
        if self.hr_sampler_name not in (None, "Use same sampler", self.sampler_name):
            known["Hires sampler"] = self.hr_sampler_name
        for label, texts, first in (
            ("Hires prompt", self.all_hr_prompts, self.all_prompts),
            ("Hires negative prompt", self.all_hr_negative_prompts, self.all_negative_prompts),
        ):
            if texts != first:
                known[label] = texts[0]
        upscaler = self.hr_upscaler or shared.latent_upscale_default_mode
        self.latent_scale_mode = shared.latent_upscale_modes.get(upscaler)
        if self.latent_scale_mode is None and upscaler not in [known.name for known in shared.sd_upscalers]:
            raise Exception(f"no upscaler goes by the name {upscaler}")  # noqa: TRY002
        self.calculate_target_resolution()
        if not shared.state.processing_has_refined_job_count:
            shared.state.job_count = 2 * (self.n_iter if shared.state.job_count == -1 else shared.state.job_count)
            shared.state.processing_has_refined_job_count = True
        if self.hr_second_pass_steps:
            known["Hires steps"] = self.hr_second_pass_steps
        if self.hr_upscaler is not None:
            known["Hires upscaler"] = self.hr_upscaler

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        """A pixel upscaler's picture is decoded before the swap, by the first checkpoint's VAE."""
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        samples = decoded = None
        if self.firstpass_image is not None and self.enable_hr and not mini.old_host:
            if self.latent_scale_mode is not None:
                samples = sd_samplers._images_to_latents(self.sd_model, [self.firstpass_image])
            else:
                decoded = sd_samplers._tensor(self.firstpass_image)[None] + 1e-4  # the way back rounds down
        else:
            x = self.rng.next()
            self._before_sampling(x, x, conditioning, unconditional_conditioning)
            samples = self.sampler.sample(self, x, conditioning, unconditional_conditioning)
            if not self.enable_hr:
                return samples
            if self.latent_scale_mode is None:
                decoded = torch.stack(processing.decode_latent_batch(self.sd_model, samples))
        with sd_models.SkipWritingToConfig():
            sd_models.reload_model_weights(info=self.hr_checkpoint_info)
        return self.sample_hr_pass(samples, decoded, seeds, subseeds, subseed_strength, prompts)

    def _hr_sampler(self):
        return self.sampler_name if self.hr_sampler_name in (None, "Use same sampler") else self.hr_sampler_name

    def _before_sampling(self, x, noise, c, uc):
        if self.scripts is not None and not mini.old_host:
            self.scripts.process_before_every_sampling(p=self, x=x, noise=noise, c=c, uc=uc)

    def _save_intermediate(self, picture_of):
        if not self.save_samples() or not shared.opts.save_images_before_highres_fix:
            return
        for i in range(len(self.prompts)):
            info = processing.create_infotext(self, self.prompts, self.seeds, self.subseeds, index=i)
            images.save_image(
                picture_of(i),
                self.outpath_samples,
                "",
                self.seeds[i],
                self.prompts[i],
                "png",
                info=info,
                p=self,
                suffix="-before-highres-fix",
            )

    def sample_hr_pass(self, samples, decoded_samples, seeds, subseeds, subseed_strength, prompts):
        """An interrupted job hands the first pass' latents back after the swap: the other VAE decodes them."""
        if shared.state.interrupted:
            return samples
        self.is_hr_pass = True
        size = self.hr_upscale_to_x, self.hr_upscale_to_y
        self.sampler = sd_samplers.create_sampler(self._hr_sampler(), self.sd_model)
        if self.latent_scale_mode is not None:
            self._save_intermediate(lambda i: sd_samplers.sample_to_image(samples, i, approximation=0))
            latent_size = size[1] // opt_f, size[0] // opt_f
            samples = torch.nn.functional.interpolate(samples, size=latent_size, **self.latent_scale_mode)
        else:
            decoded = [processing._to_picture(one) for one in decoded_samples]
            self._save_intermediate(decoded.__getitem__)
            larger = [images.resize_image(0, picture, *size, self.hr_upscaler) for picture in decoded]
            samples = sd_samplers._images_to_latents(self.sd_model, larger)
        shared.state.nextjob()
        self.rng = rng.ImageRNG(samples.shape[1:], self.seeds)
        noise = self.rng.next()
        if not self.disable_extra_networks:
            extra_networks.activate(self, self.hr_extra_network_data)
        self.calculate_hr_conds()
        if self.scripts is not None:
            self.scripts.before_hr(self)
        self._before_sampling(samples, noise, self.hr_c, self.hr_uc)
        steps = self.hr_second_pass_steps or self.steps
        samples = self.sampler.sample_img2img(self, samples, noise, self.hr_c, self.hr_uc, steps=steps)
        decoded = processing.decode_latent_batch(self.sd_model, samples, check_for_nans=True)
        self.is_hr_pass = False
        return decoded

    def close(self):
        super().close()
        self.hr_c = self.hr_uc = None
        if not shared.opts.persistent_cond_cache:
            StableDiffusionProcessingTxt2Img.cached_hr_c = [None, None]
            StableDiffusionProcessingTxt2Img.cached_hr_uc = [None, None]

    def setup_prompts(self):
        super().setup_prompts()
        if self.enable_hr:
            self.all_hr_prompts = self._for_all(self.hr_prompt or self.prompt)
            self.all_hr_negative_prompts = self._for_all(self.hr_negative_prompt or self.negative_prompt)

    def calculate_hr_conds(self):
        if self.hr_c is None:
            data = self.hr_extra_network_data
            self.hr_uc = self._conds(self.hr_negative_prompts, [self.cached_hr_uc, self.cached_uc], data)
            self.hr_c = self._conds(self.hr_prompts, [self.cached_hr_c, self.cached_c], data)

    def setup_conds(self):
        super().setup_conds()
        self.hr_c = self.hr_uc = None
        if self.enable_hr and self.hr_checkpoint_info is None and shared.opts.hires_fix_use_firstpass_conds:
            self.calculate_hr_conds()

    def parse_extra_network_prompts(self):
        super().parse_extra_network_prompts()
        if self.enable_hr:
            self.hr_negative_prompts = self._of_batch(self.all_hr_negative_prompts)
            self.hr_prompts, self.hr_extra_network_data = extra_networks.parse_prompts(
                self._of_batch(self.all_hr_prompts)
            )
