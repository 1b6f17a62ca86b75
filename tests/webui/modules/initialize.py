from pathlib import Path

from mini import checkpoints
from modules import (
    gradio_extensons,  # noqa: F401  it announces every component
    scripts,
    sd_models,
    sd_vae,
    shared,
    shared_init,
)
from modules.call_queue import wrap_queued_call


def initialize():
    """Settings, scripts, the list of checkpoints (three are made where there is none) and the first model."""
    shared_init.initialize()
    sd_models.setup_model()
    if not list(Path(sd_models.model_path).glob("**/*.safetensors")):
        checkpoints.make_defaults(sd_models.model_path)
    initialize_rest(reload_script_modules=False)


def initialize_rest(*, reload_script_modules=False):
    sd_models.list_models()
    sd_vae.refresh_vae_list()
    scripts.load_scripts()
    for setting, module, reload in (
        ("sd_model_checkpoint", sd_models, "reload_model_weights"),
        ("sd_vae", sd_vae, "reload_vae_weights"),
    ):
        # Looked up when it is called: an extension may have wrapped it by then.
        follow = wrap_queued_call(lambda module=module, reload=reload: getattr(module, reload)())
        shared.opts.onchange(setting, follow, call=False)
    assert shared.sd_model is not None, "the first checkpoint could not be loaded"
