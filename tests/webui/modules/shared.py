import sys
import types
from pathlib import Path

from modules import devices, options, shared_cmd_options
from modules.paths_internal import data_path

cmd_opts, parser = shared_cmd_options.cmd_opts, shared_cmd_options.parser
config_filename = str(Path(data_path) / "config.json")
OptionInfo, OptionHTML, options_section = options.OptionInfo, options.OptionHTML, options.options_section

demo = opts = state = options_templates = restricted_opts = None
device, weight_load_location = devices.device, "cpu"
sd_upscalers = []
total_tqdm = types.SimpleNamespace(update=lambda: None)
latent_upscale_default_mode = "Latent"
latent_upscale_modes = {
    name: {"mode": method, "antialias": False}
    for name, method in (("Latent", "bilinear"), ("Latent (nearest-exact)", "nearest-exact"))
}


class _WithModel(types.ModuleType):
    """`shared.sd_model` follows every swap, and loads the first model when it is asked for."""

    @property
    def sd_model(self):
        from modules import sd_models

        return sd_models.model_data.get_sd_model()


sys.modules[__name__].__class__ = _WithModel
