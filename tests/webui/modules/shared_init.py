from types import SimpleNamespace

from modules import options, shared, shared_options, shared_state


def initialize():
    """Fills in what the module `shared` only declares."""
    templates, restricted = shared_options.options_templates, shared_options.restricted_opts
    settings, shared.state = options.Options(templates, restricted), shared_state.State()
    settings.load(shared.config_filename)
    shared.opts, shared.options_templates, shared.restricted_opts = settings, templates, restricted
    known = ("None", "Lanczos", "Nearest")
    shared.sd_upscalers[:] = [SimpleNamespace(name=name, data_path=None, scaler=None) for name in known]
