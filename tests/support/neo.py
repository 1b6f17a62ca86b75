"""A stand-in for Forge Neo in this process: what Multipass uses of it, and as much behind it as shows what it does.

It has no page, no server and no pictures. What it does is what was seen of Neo 2.26: it keeps one model, builds it anew
at every change of its parameters, and sets what other parts of it read of the active one.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

A, B, C = "alpha", "beta", "gamma"


class Model:
    """A model of Neo: three parts that stand for themselves, of two layers each."""

    def __init__(self, files: list[str]) -> None:
        seed = sum(len(Path(file).read_bytes()) for file in files)
        unet, vae = _layers(seed), _layers(seed + 1)
        unet.predictor, unet.diffusion_model = _Predictor(), unet[0]
        of_vae = {"first_stage_model": vae, "upscale_ratio": 8, "patcher": Patcher(vae), "vae_dtype": torch.float32}
        clip = SimpleNamespace(patcher=Patcher(torch.nn.Identity()))
        self.forge_objects = SimpleNamespace(unet=Patcher(unet), clip=clip, vae=SimpleNamespace(**of_vae))
        self.forge_objects_original, self.first_stage_model = self.forge_objects, vae
        self.forge_objects_after_applying_lora = SimpleNamespace(**vars(self.forge_objects))
        self.tiling_enabled = False

    is_webui_legacy_model = staticmethod(lambda: True)


class Patcher:
    """What the webui hands on of a model's part: its modules, and what works in them."""

    def __init__(self, model: torch.nn.Module, parent: Patcher | None = None) -> None:
        self.model, self.parent, self.controlnet_linked_list = model, parent, None
        self.backup: dict[str, Any] = parent.backup if parent else {}
        self.patches: dict[str, list] = {**parent.patches} if parent else {}
        self.object_patches: dict[str, Any] = {}
        self.model_options: dict[str, Any] = {"transformer_options": {}}

    def clone(self) -> Patcher:
        return Patcher(self.model, parent=self)


class _Predictor(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sigmas = torch.linspace(0.03, 14.6, 9, dtype=torch.float64)
        self.register_buffer("sigmas", sigmas.float())
        self.register_buffer("log_sigmas", sigmas.log().float())

    def set_sigmas(self, sigmas: torch.Tensor) -> None:
        self.sigmas, self.log_sigmas = sigmas, sigmas.log()


def _layers(seed: int) -> torch.nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 1))


class Checkpoint:
    """An entry of its list of checkpoints."""

    def __init__(self, file: Path) -> None:
        self.filename, self.name, self.name_for_extra = str(file), file.name, file.stem
        self.title = self.short_title = file.name
        self.sha256, self.shorthash, self.hash = f"sha of {file.stem}", None, None
        self.ids = [file.stem, file.name]

    def calculate_shorthash(self) -> str:
        return self.sha256[:10]

    def __repr__(self) -> str:  # the webui compares its parameters as text
        return f"CheckpointInfo({self.filename!r})"


class Options:
    """Its settings."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {"forge_additional_modules": [], "forge_unet_storage_dtype": "Automatic"}
        self.data |= {"disable_all_extensions": "none", "disabled_extensions": []}
        self.data_labels: dict[str, Any] = {"sd_model_checkpoint": SimpleNamespace(section=("sd", "Checkpoints"))}

    def __getattr__(self, name: str) -> Any:
        return self.data.get(name)


class dynamic_args:  # noqa: N801 - named as the webui's
    """What its architectures say of themselves, and of the active model."""

    embedding_dir = forge_unet_storage_dtype = ops = None
    online_lora = kontext = edit = nunchaku = klein = wan = pid = krea2 = False

    @classmethod
    def reset(cls) -> None:
        cls.was_reset = True


class Neo:
    """The stand-in: its modules by name, without the ``modules.`` before them."""

    def __init__(self, folder: Path) -> None:
        self.loads: list[str] = []
        """The files that were read, with their modules."""
        self.callbacks: dict[str, list[Any]] = defaultdict(list)
        self.files = {name: folder / f"{name}.safetensors" for name in (A, B, C)}
        self.text_encoder = str(folder / "clip.safetensors")
        for number, file in enumerate([*self.files.values(), folder / "other.safetensors", Path(self.text_encoder)]):
            file.write_bytes(b"x" * (number + 1))
        self.checkpoints = {name: Checkpoint(file) for name, file in self.files.items()}
        self.vae = str(folder / "other.safetensors")
        self.modules: dict[str, ModuleType] = {}
        for make in (self._settings, self._models, self._jobs, self._rest, self._backend):
            make()

    def __getattr__(self, name: str) -> ModuleType:
        try:
            return vars(self)["modules"][f"modules.{name}"]
        except KeyError:
            raise AttributeError(name) from None

    def add(self, name: str, **content: Any) -> ModuleType:
        """Add a module, and what is around it."""
        made = self.modules[name] = ModuleType(name)
        vars(made).update(content)
        around, _, last = name.rpartition(".")
        if around:
            setattr(self.modules.get(around) or self.add(around, __path__=[]), last, made)
        return made

    def select(self, name: str, *modules: str) -> None:
        """The next job's parameters."""
        parameters = {"checkpoint_info": self.checkpoints[name], "additional_modules": list(modules)}
        self.sd_models.model_data.forge_loading_parameters = {**parameters, "unet_storage_dtype": None}

    def swap(self, name: str, *modules: str) -> Any:
        """What its jobs do before each pass; the model that is active after it."""
        self.select(name, *modules)
        model, _ = self.processing.forge_model_reload()
        return model

    def _settings(self) -> None:
        info = SimpleNamespace(info=lambda _text: None)
        flags = SimpleNamespace(**dict.fromkeys(("api", "nowebui", "freeze_settings", "no_hashing", "api_auth"), False))
        self.add(
            "modules.shared",
            opts=Options(),
            cmd_opts=flags,
            state=SimpleNamespace(interrupted=False, skipped=False, job=""),
            sd_upscalers=[SimpleNamespace(name="None")],
            **{"latent_upscale_modes": {}, "options_templates": {}},
            options_section=lambda section, entries: entries,
            OptionInfo=lambda *_, **__: info,
            OptionHTML=lambda *_, **__: info,
        )

    def _models(self) -> None:
        class SdModelData:
            def __init__(self) -> None:
                self.sd_model, self.forge_loading_parameters, self.forge_hash = SimpleNamespace(), {}, ""

            def set_sd_model(self, model: Any) -> None:
                self.sd_model = model

        aliases = {alias: one for one in self.checkpoints.values() for alias in one.ids}
        sd_models = self.add("modules.sd_models", model_data=SdModelData(), SdModelData=SdModelData)
        vars(sd_models).update(
            forge_model_reload=self._reload,
            forge_loader=self._load,
            unload_model_weights=self._unload,
            checkpoints_list={one.title: one for one in self.checkpoints.values()},
            checkpoint_aliases=aliases,
            select_checkpoint=lambda: self.checkpoints[A],
            get_closet_checkpoint_match=aliases.get,
            list_models=lambda: None,
        )
        vae = self.add("modules.sd_vae", vae_dict={Path(self.vae).name: self.vae}, base_vae=None, checkpoint_info=None)
        vars(vae).update(vae_path=str(Path(self.vae).parent), refresh_vae_list=lambda: None)
        vars(vae).update(store_base_vae=self._store, restore_base_vae=self._restore)

    def _load(self, sd: str, additional_state_dicts: Any = None) -> Model:
        self.loads.append(" + ".join(Path(file).stem for file in (sd, *(additional_state_dicts or ()))))
        dynamic_args.reset()
        dynamic_args.krea2 = B in sd
        return Model([sd, *(additional_state_dicts or ())])

    def _reload(self) -> tuple[Any, bool]:
        data, parameters = self.sd_models.model_data, self.sd_models.model_data.forge_loading_parameters
        wanted = str(parameters)
        if data.forge_hash == wanted:
            return data.sd_model, False
        data.sd_model, data.forge_hash = None, ""
        checkpoint, modules = parameters["checkpoint_info"], parameters["additional_modules"]
        try:
            model = self.sd_models.forge_loader(checkpoint.filename, additional_state_dicts=modules)
        except Exception:
            data.sd_model = SimpleNamespace()
            raise
        model.sd_checkpoint_info = checkpoint
        self.shared.opts.data["sd_checkpoint_hash"] = checkpoint.sha256
        data.set_sd_model(model)
        self.shared.sd_model, self.processing.opt_f = model, model.forge_objects.vae.upscale_ratio
        data.forge_hash = wanted
        return model, True

    def _unload(self) -> None:
        data = self.sd_models.model_data
        data.sd_model = self.shared.sd_model = SimpleNamespace()
        data.forge_hash = ""

    @torch.inference_mode()
    def _store(self, model: Any) -> None:
        copy = {name: tensor.clone() for name, tensor in model.first_stage_model.state_dict().items()}
        self.sd_vae.base_vae, self.sd_vae.checkpoint_info = copy, model.sd_checkpoint_info

    @torch.inference_mode()
    def _restore(self, model: Any) -> None:
        if self.sd_vae.base_vae is not None:
            model.first_stage_model.load_state_dict(self.sd_vae.base_vae)
            self.sd_vae.base_vae = self.sd_vae.checkpoint_info = None

    def _jobs(self) -> None:
        class StableDiffusionProcessing:
            def cached_params(self, *args: Any) -> tuple:
                return args

            def parse_extra_network_prompts(self) -> None: ...

        class Txt2Img(StableDiffusionProcessing):
            hr_checkpoint_name, hr_checkpoint_info, hr_additional_modules, hr_cfg = "", None, None, 1.0

            def init(self) -> None: ...
            def sample(self) -> None: ...
            def sample_hr_pass(self) -> None: ...
            def calculate_hr_conds(self) -> None: ...
            def close(self) -> None: ...

        self.add(
            "modules.processing",
            StableDiffusionProcessing=StableDiffusionProcessing,
            StableDiffusionProcessingTxt2Img=Txt2Img,
            StableDiffusionProcessingImg2Img=type("Img2Img", (StableDiffusionProcessing,), {"sample": Txt2Img.sample}),
            forge_model_reload=self.sd_models.forge_model_reload,
            decode_latent_batch=lambda model, batch: batch,
            need_global_unload=False,
            opt_f=8,
        )

    def _rest(self) -> None:
        def listed(name: str) -> Any:
            return lambda call, *_args, **_kwargs: self.callbacks[name].append(call)

        names = ("on_app_started", "on_before_ui", "on_after_component", "on_script_unloaded", "on_model_loaded")
        self.add("modules.script_callbacks", callback_map={}, **{name: listed(name) for name in names})
        self.script_callbacks.remove_current_script_callbacks = self.callbacks.clear  # nobody else has any here
        runner = SimpleNamespace(alwayson_scripts=[], inputs=[])
        self.add("modules.scripts", scripts_data=[], scripts_txt2img=runner)
        for module, functions in {
            "errors": ("report", "display"),
            "images": ("save_image", "resize_image"),
            "sd_samplers": ("create_sampler",),
            "hashes": ("calculate_sha256_real", "sha256", "sha256_from_cache"),
        }.items():
            self.add(f"modules.{module}", **{name: lambda *_args, **_kwargs: None for name in functions})
        self.add("modules.devices", device=torch.device("cpu"), dtype_unet=torch.float32, dtype_vae=torch.float32)
        self.add("modules.call_queue", queue_lock=None)
        self.add("modules.paths", script_path="")
        for module, content in {"rng": {}, "sd_unet": {}, "ui_common": {"refresh_symbol": ""}}.items():
            self.add(f"modules.{module}", **content)
        self.add("modules.ui_components", InputAccordion=None, ToolButton=None)
        self.add("modules.patches", patch=self._patch, undo=self._undo, original=self._original)
        self.patches.originals = defaultdict(dict)

    def _patch(self, key: str, owner: Any, name: str, replacement: Any) -> None:
        self.patches.originals[key][owner, name] = getattr(owner, name)
        setattr(owner, name, replacement)

    def _undo(self, key: str, owner: Any, name: str) -> None:
        setattr(owner, name, self.patches.originals[key].pop((owner, name)))

    def _original(self, key: str, owner: Any, name: str) -> Any:
        return self.patches.originals[key].get((owner, name))

    def _backend(self) -> None:
        self.add("backend.args", dynamic_args=dynamic_args)
        self.add("backend.loader", load_torch_file=lambda *_args, **_kwargs: ({}, None))
        self.add("backend.memory_management", soft_empty_cache=lambda: None)
        tile = lambda model, tiling_enabled=False: setattr(model, "tiling_enabled", tiling_enabled)  # noqa: E731
        self.add("modules_forge.utils", apply_circular_forge=tile)
        own = {"module_list": {}, "forge_unet_storage_dtype_options": {"Automatic": (None, False)}}
        entry = self.add("modules_forge.main_entry", **own)
        files = {Path(file).name: file for file in (self.vae, self.text_encoder)}
        entry.refresh_models = lambda: entry.module_list.update(files)
