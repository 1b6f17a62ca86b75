current_unet = None


def apply_unet(option=None): ...
