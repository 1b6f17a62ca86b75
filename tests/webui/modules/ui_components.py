import gradio as gr


class ToolButton(gr.Button):
    """A small button with one sign on it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, elem_classes=["tool", *kwargs.pop("elem_classes", [])], min_width=40, **kwargs)

    def get_block_name(self):
        return "button"


class FormRow(gr.Row):
    def get_block_name(self):
        return "row"


class InputAccordion(gr.Checkbox):
    """A hidden checkbox that owns an accordion; page.js draws the tick and keeps open and ticked the same."""

    global_index = 0

    def __init__(self, value, **kwargs):
        self.accordion_id = kwargs.pop("elem_id", None)
        if self.accordion_id is None:
            self.accordion_id = f"input-accordion-{InputAccordion.global_index}"
            InputAccordion.global_index += 1
        super().__init__(value, **{**kwargs, "elem_id": f"{self.accordion_id}-checkbox", "visible": False})
        follow = f'function(on){{ inputAccordionChecked("{self.accordion_id}", on); }}'
        self.change(None, inputs=[self], _js=follow)
        self.accordion = gr.Accordion(
            **{"label": "Accordion", **kwargs}, elem_id=self.accordion_id, elem_classes=["input-accordion"], open=value
        )

    def extra(self):
        return gr.Column(elem_id=f"{self.accordion_id}-extra", elem_classes="input-accordion-extra", min_width=0)

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.accordion.__exit__(exc_type, exc_val, exc_tb)

    def get_block_name(self):
        return "checkbox"
