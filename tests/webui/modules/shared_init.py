from types import SimpleNamespace

from modules import options, shared, shared_options, shared_state


def initialize():
    """Fills in what the module `shared` only declares."""
    shared.options_templates = shared_options.options_templates
    shared.restricted_opts = shared_options.restricted_opts
    shared.opts = options.Options(shared_options.options_templates, shared_options.restricted_opts)
    shared.opts.load(shared.config_filename)
    shared.state = shared_state.State()
    shared.sd_upscalers[:] = [SimpleNamespace(name=name) for name in ("None", "Lanczos", "Nearest")]
