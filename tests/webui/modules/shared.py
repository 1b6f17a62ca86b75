import sys
from pathlib import Path

from modules import devices, options, shared_cmd_options
from modules.paths_internal import data_path

cmd_opts, parser = shared_cmd_options.cmd_opts, shared_cmd_options.parser
config_filename = str(Path(data_path) / "config.json")
OptionInfo, OptionHTML, options_section = options.OptionInfo, options.OptionHTML, options.options_section

demo = opts = state = options_templates = restricted_opts = settings_components = None
device, weight_load_location = devices.device, "cpu"
latent_upscale_default_mode = "Latent"
latent_upscale_modes = {
    "Latent": {"mode": "bilinear", "antialias": False},
    "Latent (nearest-exact)": {"mode": "nearest-exact", "antialias": False},
}
sd_upscalers = []


class _Shared(type(sys.modules[__name__])):
    """Makes `shared.sd_model` a property that follows every swap and loads the first model on demand."""

    @property
    def sd_model(self):
        from modules import sd_models

        return sd_models.model_data.get_sd_model()

    @sd_model.setter
    def sd_model(self, value):
        from modules import sd_models

        sd_models.model_data.set_sd_model(value)


sys.modules[__name__].__class__ = _Shared
