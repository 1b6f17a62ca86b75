"""Every function on the path of a job, replaced by one that can be told to fail, or to interrupt or skip the job.

The webui's functions are replaced below Multipass's own wrappers, as if the webui itself failed there.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a running webui reads this file alone
    from support.inprocess import Host

OF_THE_WEBUI = """
modules.sd_models: select_checkpoint get_closet_checkpoint_match reload_model_weights get_checkpoint_state_dict
modules.sd_models: reuse_model_from_already_loaded load_model load_model_weights read_state_dict
modules.sd_models: send_model_to_cpu send_model_to_device send_model_to_trash SdModelData.set_sd_model
modules.sd_hijack: StableDiffusionModelHijack.hijack StableDiffusionModelHijack.undo_hijack
modules.sd_hijack: StableDiffusionModelHijack.apply_circular
modules.textual_inversion.textual_inversion: EmbeddingDatabase.load_textual_inversion_embeddings
modules.sd_unet: apply_unet
modules.hashes: sha256 sha256_from_cache calculate_sha256
modules.sd_vae: resolve_vae load_vae load_vae_dict reload_vae_weights store_base_vae restore_base_vae
modules.sd_samplers: create_sampler sample_to_image
modules.rng: ImageRNG.next
modules.script_callbacks: model_loaded_callback
modules.extra_networks: activate deactivate parse_prompts
modules.images: save_image resize_image
modules.devices: torch_gc
modules.scripts: ScriptRunner.before_process ScriptRunner.process ScriptRunner.before_process_batch
modules.scripts: ScriptRunner.process_batch ScriptRunner.before_hr ScriptRunner.after_extra_networks_activate
modules.scripts: ScriptRunner.postprocess_batch ScriptRunner.postprocess_image ScriptRunner.postprocess
modules.processing: decode_latent_batch create_infotext process_images_inner
modules.processing: StableDiffusionProcessing.setup_conds StableDiffusionProcessing.parse_extra_network_prompts
modules.processing: StableDiffusionProcessingTxt2Img.init StableDiffusionProcessingTxt2Img.calculate_hr_conds
modules.processing: StableDiffusionProcessingTxt2Img.sample StableDiffusionProcessingTxt2Img.sample_hr_pass
modules.processing: StableDiffusionProcessingImg2Img.init StableDiffusionProcessingImg2Img.sample
"""
"""By module; a method stands behind its class. The miniature has all of these by the webui's own names."""

OF_THE_MINIATURE = """
modules.sd_samplers: _Sampler.sample _Sampler.sample_img2img _images_to_latents
mini.painter: TextEncoder.forward Painter.predict Painter.encode_first_stage Painter.decode_first_stage
mini.device: Movable.to
"""

OF_A_REAL_WEBUI = """
modules.sd_models: instantiate_from_config get_empty_cond apply_token_merging SkipWritingToConfig.__enter__
modules.sd_models_config: find_checkpoint_config
modules.sd_vae: clear_loaded_vae delete_base_vae
modules.sd_samplers_kdiffusion: KDiffusionSampler.sample KDiffusionSampler.sample_img2img
modules.sd_samplers_cfg_denoiser: CFGDenoiser.forward
modules.sd_samplers_common: samples_to_images_tensor
modules.processing: images_tensor_to_samples decode_first_stage
modules.sd_hijack_clip: FrozenCLIPEmbedderWithCustomWordsBase.forward
ldm.models.diffusion.ddpm: DDPM.to LatentDiffusion.apply_model LatentDiffusion.decode_first_stage
ldm.models.diffusion.ddpm: LatentDiffusion.encode_first_stage LatentDiffusion.get_first_stage_encoding
"""
"""What it has in place of those, and what the miniature does without."""

OF_OURS = """
lib_multipass.job.hooks: roles_of decide _declare
lib_multipass.job.jobs: Job.begin Job.end end_running
lib_multipass.job.swap_wrappers: _follow
lib_multipass.plan.decide: _require_usable keeping forecast borrowed
lib_multipass.plan.hires: check_refiner declared
lib_multipass.plan.aiming: aim
lib_multipass.passes.gauge: Gauge.second_pass_begins Gauge.second_pass_made Gauge.read Gauge.end
lib_multipass.passes.networks: Tags.end Tags.swapped Tags.fit
lib_multipass.passes.infotext: Keys.begin Keys.swapped
lib_multipass.passes.progress: Progress.begin Progress.end Progress.loading Progress.swapping
lib_multipass.passes.ahead: Ahead.read Ahead.end Ahead.handed_out
lib_multipass.passes.control: Control.swapped
lib_multipass.passes.first_pass: puts_off _swap _note FirstPass.add_to
lib_multipass.passes.put_off: PutOff.begin PutOff.name PutOff._find PutOff.sampled PutOff.take PutOff.wait
lib_multipass.passes.once: Stages.sampled Stages.decoded Stages.enlarged
lib_multipass.passes.sampled: made again
lib_multipass.webui.a1111.adetailer: in_job replace
lib_multipass.webui.a1111.beginnings: asked_from made_from notes add_notes early_scripts make merge_tokens stay catch_up
lib_multipass.webui.a1111.ready: ready_for Ready.hand_out
lib_multipass.webui.a1111.stages: sampled_from decoded_with generators put_back sampled steps
lib_multipass.webui.a1111.gathering: of_job
lib_multipass.webui.a1111.pass_vae: PassVae.begin PassVae.end settle forget
lib_multipass.webui.a1111.options: read_as
lib_multipass.webui.a1111.pictures: decoded
lib_multipass.webui.a1111.models: let_go keep swapping activate _settle
lib_multipass.webui.a1111.limits: keep_in_cpu
lib_multipass.webui.a1111.follow: note_hash catch_up leave
lib_multipass.webui.a1111.swaps: perform completed
lib_multipass.memory.reader: Reader.start Reader.finish Reader.stop
lib_multipass.plan.report: Journal.line
"""

OF_NEO = """
modules.sd_models: forge_model_reload forge_loader SdModelData.set_sd_model
modules.processing: forge_model_reload manage_model_and_prompt_cache apply_circular_forge
modules.sd_samplers_kdiffusion: sampling_prepare sampling_cleanup
backend.memory_management: load_models_gpu free_memory
backend.patcher.vae: VAE.decode VAE.encode
backend.text_processing.classic_engine: ClassicTextProcessingEngine.encode_with_transformers
backend.diffusion_engine.sd15: StableDiffusion.get_learned_conditioning
"""
"""What Forge Neo has in place of much of that."""

OF_OURS_IN_NEO = """
lib_multipass.webui.forge.engines: key_of found note activate drop
lib_multipass.webui.forge.models: keep let_go drop_without_place make_room_for activate
lib_multipass.webui.forge.pass_vae: fitting
lib_multipass.webui.forge.pictures: decoded
lib_multipass.webui.forge.remains: forget_references hold_schedule free_schedule
lib_multipass.webui.forge.swaps: perform
"""

FAIL, FAIL_AFTER, INTERRUPT, SKIP = WAYS = "fails", "fails when it is done", "interrupts", "skips"


class FaultError(RuntimeError):
    """What was made to happen."""


@dataclass(frozen=True)
class Place:
    """A function in which a fault can happen."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module.rpartition('.')[2]}.{self.name}"

    @property
    def ours(self) -> bool:
        """Whether it is a function of Multipass."""
        return self.module.startswith("lib_multipass")

    def owner(self) -> tuple[Any, str]:
        """Where the function stands: the module or class, and its name there."""
        *classes, name = self.name.split(".")
        found = importlib.import_module(self.module)
        for one in classes:
            found = getattr(found, one)
        return found, name


def places(text: str) -> list[Place]:
    """The places of one of the lists above."""
    lines = (line.partition(": ") for line in text.strip().splitlines())
    return [Place(module, name) for module, _, names in lines for name in names.split()]


class Switchboard:
    """All places, replaced; at most one fault is armed."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.how, self.left, self.fired = FAIL, 0, False
        self.calls: Counter[Place] | None = None
        """How often each was called, while that is counted."""
        self.interrupts: dict[str, Callable[[], None]] = {}

    def arm(self, place: Place, nth: int, how: str) -> None:
        """Let the n-th call from now on be the one."""
        self.place, self.left, self.how, self.fired = place, nth, how, False

    def disarm(self) -> None:
        """Let everything be as it is."""
        self.place = None

    def replaced(self, place: Place, original: Callable) -> Callable:
        """The function with a switch before and behind it."""

        @wraps(original)
        def switch(*args: Any, **kwargs: Any) -> Any:
            if self.calls is not None:
                self.calls[place] += 1
            if self.place is not place:
                return original(*args, **kwargs)
            self.left -= 1
            if self.left:
                return original(*args, **kwargs)
            self.fired = True
            if self.how in self.interrupts:
                self.interrupts[self.how]()
                return original(*args, **kwargs)
            if self.how == FAIL_AFTER:
                original(*args, **kwargs)
            raise FaultError(f"{place} failed on purpose.")

        return switch


@contextmanager
def switchboard(host: Host, of_the_webui: list[Place], of_ours: list[Place]) -> Iterator[Switchboard]:
    """Replace these functions: the webui's while Multipass is unloaded, so that it wraps what was replaced."""
    board = Switchboard()
    board.interrupts = {INTERRUPT: host.shared.state.interrupt, SKIP: host.shared.state.skip}
    host.script_callbacks.script_unloaded_callback()
    undo = [replace(board, place) for place in of_the_webui]
    _load_again(host)
    undo.extend(replace(board, place) for place in of_ours)
    try:
        yield board
    finally:
        board.disarm()
        host.script_callbacks.script_unloaded_callback()
        for one in reversed(undo):
            one()
        _load_again(host)


def _load_again(host: Host) -> None:
    host.initialize.initialize_rest(reload_script_modules=True)
    host.build_page()


def replace(board: Switchboard, place: Place) -> Callable[[], None]:
    """Put the switch into this function; what is returned takes it out again."""
    owner, name = place.owner()
    own, original = name in vars(owner), getattr(owner, name)
    setattr(owner, name, board.replaced(place, original))
    return lambda: setattr(owner, name, original) if own else delattr(owner, name)
