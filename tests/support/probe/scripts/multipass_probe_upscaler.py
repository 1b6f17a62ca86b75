"""An upscaler with a file of its own, which says how much it sharpens."""

from pathlib import Path
from types import SimpleNamespace

from modules import paths, script_callbacks, shared
from PIL import Image, ImageFilter

NAME = "Sharp"
FILE = Path(paths.models_path, "ESRGAN", "sharp.pth")


class Sharp:
    def upscale(self, picture, scale, path):
        """A file without a number cannot be loaded; webuis only resize the picture then."""
        size = [int(side * scale // 8 * 8) for side in picture.size]
        larger, strength = picture.resize(size, Image.LANCZOS), Path(path).read_text(encoding="utf8")
        if not strength.isdigit():
            return larger
        return larger.filter(ImageFilter.UnsharpMask(percent=int(strength) + int(shared.opts.ESRGAN_tile)))


def add():
    """From now on this webui has it."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("150", encoding="utf8")
    if all(known.name != NAME for known in shared.sd_upscalers):
        about = {"data_path": str(FILE), "local_data_path": str(FILE), "scale": 2, "scaler": Sharp()}
        shared.sd_upscalers.append(SimpleNamespace(name=NAME, **about))
    return str(FILE)


script_callbacks.on_app_started(lambda _demo, app: app.add_api_route("/probe/sharp", add, methods=["POST"]))
