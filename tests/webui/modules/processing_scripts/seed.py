import gradio as gr
from modules import scripts
from modules.infotext_utils import PasteField


class ScriptSeed(scripts.ScriptBuiltinUI):
    section = "seed"

    def title(self):
        return "Seed"

    def ui(self, is_img2img):
        """Variation and resizing have their places among the arguments, and no effect."""
        chosen = gr.Number(-1, precision=0, label="Seed", elem_id=self.elem_id("seed"))
        without_effect = [gr.Checkbox(False, visible=False), *(gr.Number(n, visible=False) for n in (-1, 0, 0, 0))]
        self.infotext_fields = [PasteField(chosen, "Seed", api="seed")]
        return [chosen, *without_effect]

    def setup(self, p, seed, seed_checkbox, subseed, subseed_strength, seed_resize_from_w, seed_resize_from_h):
        p.seed = int(seed)
