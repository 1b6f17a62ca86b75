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
    cached_hr_c = [None, None]  # like those of the first pass
    cached_hr_uc = [None, None]

    def calculate_target_resolution(self):
        wide, high = self.hr_resize_x, self.hr_resize_y
        if (wide, high) == (0, 0):
            told = {"Hires upscale": self.hr_scale}
            size = [int(side * self.hr_scale) for side in (self.width, self.height)]
        else:
            told = {"Hires resize": f"{wide}x{high}"}
            size = wide or high * self.width // self.height, high or wide * self.height // self.width
        self.extra_generation_params.update(told)
        self.hr_upscale_to_x, self.hr_upscale_to_y = size

    def init(self, all_prompts, all_seeds, all_subseeds):
        """Here names become a checkpoint and an upscaler."""
        if not self.enable_hr:
            return
        self.hr_checkpoint_info = self._named_checkpoint()
        upscaler = self.hr_upscaler or shared.latent_upscale_default_mode
        self.latent_scale_mode = shared.latent_upscale_modes.get(upscaler)
        if self.latent_scale_mode is None and all(upscaler != known.name for known in shared.sd_upscalers):
            raise Exception(f"no upscaler goes by the name {upscaler}")  # noqa: TRY002
        self.extra_generation_params.update(self._told_before())
        self.calculate_target_resolution()
        self.extra_generation_params.update(self._told_after())
        state = shared.state
        if not state.processing_has_refined_job_count:
            passes = self.n_iter if state.job_count == -1 else state.job_count
            state.job_count, state.processing_has_refined_job_count = 2 * passes, True

    def _named_checkpoint(self):
        """An old host takes "Use same checkpoint" for a name."""
        name = self.hr_checkpoint_name
        if not name or (name == "Use same checkpoint" and not mini.old_host):
            return None
        found = sd_models.get_closet_checkpoint_match(name)
        if not found:
            raise Exception(f"no checkpoint goes by the name {name}")  # noqa: TRY002
        return found

    def _told_before(self):
        """What the infotext names before the size."""
        yield "Denoising strength", self.denoising_strength
        if self.hr_checkpoint_info:
            yield "Hires checkpoint", self.hr_checkpoint_info.short_title
        if self._hr_sampler() != self.sampler_name:
            yield "Hires sampler", self.hr_sampler_name
        if self.all_hr_prompts != self.all_prompts:
            yield "Hires prompt", self.all_hr_prompts[0]
        if self.all_hr_negative_prompts != self.all_negative_prompts:
            yield "Hires negative prompt", self.all_hr_negative_prompts[0]

    def _told_after(self):
        named = {"Hires steps": self.hr_second_pass_steps or None, "Hires upscaler": self.hr_upscaler}
        return {label: value for label, value in named.items() if value is not None}

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        """A pixel upscaler's picture is decoded before the swap, by the first checkpoint's VAE."""
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        is_given = self.enable_hr and self.firstpass_image is not None and not mini.old_host
        latents = None if is_given else self._first_pass(conditioning, unconditional_conditioning)
        if not self.enable_hr:
            return latents
        pixels = None
        if self.latent_scale_mode is None:
            pixels = self._given_pixels() if is_given else self._decoded(latents)
        elif is_given:
            latents = sd_samplers._images_to_latents(self.sd_model, [self.firstpass_image])
        self._swap()
        return self.sample_hr_pass(latents, pixels, seeds, subseeds, subseed_strength, prompts)

    def _swap(self):
        """The second pass's checkpoint does not become the selected one."""
        info = self.hr_checkpoint_info
        with sd_models.SkipWritingToConfig():
            sd_models.reload_model_weights(info=info)

    def _first_pass(self, c, uc):
        noise = self.rng.next()
        self._before_sampling(noise, noise, c, uc)
        return self.sampler.sample(self, noise, c, uc)

    def _decoded(self, latents):
        return torch.stack(processing.decode_latent_batch(self.sd_model, latents))

    def _given_pixels(self):
        return sd_samplers._tensor(self.firstpass_image)[None] + 1e-4  # the way back rounds down

    def _hr_sampler(self):
        return self.sampler_name if self.hr_sampler_name in (None, "Use same sampler") else self.hr_sampler_name

    def _before_sampling(self, x, noise, c, uc):
        if self.scripts is not None and not mini.old_host:
            self.scripts.process_before_every_sampling(c=c, uc=uc, noise=noise, x=x, p=self)

    def _save_intermediate(self, picture_of):
        """Every picture of the first pass, if the user wants that."""
        wanted = shared.opts.save_images_before_highres_fix and self.save_samples()
        for n, (seed, prompt) in enumerate(zip(self.seeds, self.prompts, strict=True) if wanted else ()):
            about = processing.create_infotext(self, self.prompts, self.seeds, self.subseeds, index=n)
            told = {"info": about, "suffix": "-before-highres-fix", "p": self}
            images.save_image(picture_of(n), self.outpath_samples, "", seed, prompt, "png", **told)

    def sample_hr_pass(self, samples, decoded_samples, seeds, subseeds, subseed_strength, prompts):
        """An interrupted job hands the first pass' latents back after the swap: the other VAE decodes them."""
        if shared.state.interrupted:
            return samples
        self.is_hr_pass = True
        self.sampler = sd_samplers.create_sampler(self._hr_sampler(), self.sd_model)
        larger = self._enlarged_latents(samples) if self.latent_scale_mode else self._enlarged_pixels(decoded_samples)
        shared.state.nextjob()
        self.rng = rng.ImageRNG(larger.shape[1:], self.seeds)
        noise = self.rng.next()
        if not self.disable_extra_networks:
            extra_networks.activate(self, self.hr_extra_network_data)
        self.calculate_hr_conds()
        processing._tell(self, "before_hr")
        self._before_sampling(larger, noise, self.hr_c, self.hr_uc)
        count = self.hr_second_pass_steps or self.steps
        painted = self.sampler.sample_img2img(self, larger, noise, self.hr_c, self.hr_uc, count)
        pictures = processing.decode_latent_batch(self.sd_model, painted, check_for_nans=True)
        self.is_hr_pass = False
        return pictures

    def _enlarged_latents(self, latents):
        self._save_intermediate(lambda n: sd_samplers.sample_to_image(latents, n, approximation=0))
        high, wide = self.hr_upscale_to_y // opt_f, self.hr_upscale_to_x // opt_f
        return torch.nn.functional.interpolate(latents, (high, wide), **self.latent_scale_mode)

    def _enlarged_pixels(self, pixels):
        pictures = list(map(processing._to_picture, pixels))
        self._save_intermediate(pictures.__getitem__)
        size = self.hr_upscale_to_x, self.hr_upscale_to_y
        larger = [images.resize_image(0, picture, *size, self.hr_upscaler) for picture in pictures]
        return sd_samplers._images_to_latents(self.sd_model, larger)

    def close(self):
        self.hr_c = self.hr_uc = None
        super().close()

    def setup_prompts(self):
        super().setup_prompts()
        if self.enable_hr:  # an empty text stands for the first pass's
            for text, first in (("hr_prompt", self.prompt), ("hr_negative_prompt", self.negative_prompt)):
                setattr(self, f"all_{text}s", self._for_all(getattr(self, text) or first))

    def calculate_hr_conds(self):
        if self.hr_c is not None:
            return
        for name, prompts in (("uc", self.hr_negative_prompts), ("c", self.hr_prompts)):
            caches = [getattr(self, f"cached_hr_{name}"), getattr(self, f"cached_{name}")]
            setattr(self, f"hr_{name}", self._conds(prompts, caches, self.hr_extra_network_data))

    def setup_conds(self):
        super().setup_conds()
        self.hr_uc = self.hr_c = None
        early = shared.opts.hires_fix_use_firstpass_conds and self.hr_checkpoint_info is None
        if early and self.enable_hr:
            self.calculate_hr_conds()

    def parse_extra_network_prompts(self):
        super().parse_extra_network_prompts()
        if self.enable_hr:
            plain, self.hr_extra_network_data = extra_networks.parse_prompts(self._of_batch(self.all_hr_prompts))
            self.hr_prompts, self.hr_negative_prompts = plain, self._of_batch(self.all_hr_negative_prompts)
