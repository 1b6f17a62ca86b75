from modules.shared import cmd_opts


def is_needed(sd_model):
    """Whether only one part of this model is on the device at a time; only SDXL has a "conditioner"."""
    for_all = cmd_opts.lowvram or cmd_opts.medvram
    return for_all or (cmd_opts.medvram_sdxl and hasattr(sd_model, "conditioner"))
