"""Multipass in the webui's terms: a table of hooks. What they do is in ``lib_multipass``."""

from pathlib import Path

from modules import scripts

from lib_multipass import NAME
from lib_multipass.start import start
from lib_multipass.words import open_log

open_log()
job, page = start(Path(scripts.basedir()).name)


class Multipass(scripts.Script):
    section = "accordions"
    create_group = False  # as the webui's own accordions: the panel is no box in a box

    def title(self):
        return NAME

    def show(self, is_img2img):
        return False if is_img2img else scripts.AlwaysVisible

    def ui(self, is_img2img):
        components, self.infotext_fields = page.panel(self.elem_id)
        self.paste_field_names = []
        return components

    def after_component(self, component, **kwargs):
        page.remember(component, kwargs.get("elem_id"))

    def setup(self, p, *args):
        job.setup(p)

    def before_process(self, p, *args):
        job.before_process(p, args)

    def process_batch(self, p, *args, **kwargs):
        job.read_ahead(p)

    def before_hr(self, p, *args):
        job.read_ahead(p)

    def postprocess(self, p, processed, *args):
        job.postprocess(p, processed)
