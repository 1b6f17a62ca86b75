import uuid
from pathlib import Path

from modules import paths, shared
from PIL import Image, PngImagePlugin


def resize_image(resize_mode, im, width, height, upscaler_name=None):
    method = Image.NEAREST if upscaler_name == "Nearest" else Image.LANCZOS
    known = next((known for known in shared.sd_upscalers if known.name == upscaler_name), None)
    if known is not None and known.scaler:
        im = known.scaler.upscale(im, max(width / im.width, height / im.height), known.data_path)
    return im if im.size == (width, height) else im.resize((width, height), method)


def save_image(
    image,
    path,
    basename,
    seed=None,
    prompt=None,
    extension="png",
    info=None,
    short_filename=False,
    no_prompt=False,
    grid=False,
    pnginfo_section_name="parameters",
    p=None,
    existing_info=None,
    forced_filename=None,
    suffix="",
    save_to_dirs=None,
):
    """Saves below the data folder as 00000-seed.png, with the infotext inside."""
    folder = Path(paths.data_path) / path
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{len(list(folder.iterdir())):05}-{seed}{suffix}.{extension}"
    save_image_with_geninfo(image, info, str(file))
    return str(file), None


def save_image_with_geninfo(image, geninfo, filename, extension=None):
    about = PngImagePlugin.PngInfo()
    if shared.opts.enable_pnginfo and geninfo:
        about.add_text("parameters", geninfo)
    image.save(filename, pnginfo=about, compress_level=1)


def read_info_from_image(image):
    items = dict(image.info or {})
    return items.pop("parameters", None), items


def _file_for_page(image):
    """A file for the gallery that keeps the infotext, which gradio's own would lose."""
    folder = Path(paths.data_path) / "tmp"
    folder.mkdir(exist_ok=True)
    file = folder / f"{uuid.uuid4().hex}.png"
    save_image_with_geninfo(image, image.info.get("parameters"), str(file))
    return str(file)
