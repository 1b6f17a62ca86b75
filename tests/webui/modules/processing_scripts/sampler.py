import gradio as gr
from modules import scripts, sd_samplers
from modules.infotext_utils import PasteField


class ScriptSampler(scripts.ScriptBuiltinUI):
    section = "sampler"

    def title(self):
        return "Sampler"

    def ui(self, is_img2img):
        names = sd_samplers.visible_sampler_names()
        with gr.Row():
            sampler = gr.Dropdown(names, value=names[0], label="Sampling method", elem_id=self.elem_id("sampling"))
            scheduler = gr.Dropdown(
                ["Automatic"], value="Automatic", label="Schedule type", elem_id=self.elem_id("scheduler")
            )
            steps = gr.Slider(1, 150, step=1, value=20, label="Sampling steps", elem_id=self.elem_id("steps"))
        self.infotext_fields = [
            PasteField(steps, "Steps", api="steps"),
            PasteField(sampler, "Sampler", api="sampler_name"),
            (scheduler, "Schedule type"),
        ]
        return [steps, sampler, scheduler]

    def setup(self, p, steps, sampler_name, scheduler):
        p.steps, p.sampler_name, p.scheduler = int(steps), sampler_name, scheduler
