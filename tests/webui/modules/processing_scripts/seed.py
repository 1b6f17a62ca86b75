import gradio as gr
from modules import scripts
from modules.infotext_utils import PasteField


class ScriptSeed(scripts.ScriptBuiltinUI):
    section = "seed"

    def title(self):
        return "Seed"

    def ui(self, is_img2img):
        """Variation and resizing have their places among the arguments, and no effect."""
        seed = gr.Number(label="Seed", value=-1, precision=0, elem_id=self.elem_id("seed"))
        extras = [gr.Checkbox(False, label="Extra", visible=False)]
        extras += [gr.Number(value=value, visible=False) for value in (-1, 0, 0, 0)]
        self.infotext_fields = [PasteField(seed, "Seed", api="seed")]
        return [seed, *extras]

    def setup(self, p, seed, seed_checkbox, subseed, subseed_strength, seed_resize_from_w, seed_resize_from_h):
        p.seed = int(seed)
