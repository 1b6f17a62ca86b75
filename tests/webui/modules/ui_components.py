import gradio as gr


class ToolButton(gr.Button):
    """A small button with one sign on it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"elem_classes": "tool", "min_width": 40, **kwargs})

    def get_block_name(self):
        return "button"


class FormRow(gr.Row):
    def get_block_name(self):
        return "row"


class InputAccordion(gr.Checkbox):
    """A hidden checkbox that owns an accordion; page.js draws the tick and keeps open and ticked the same."""

    def __init__(self, value, *, elem_id, **kwargs):
        self.accordion_id = elem_id
        super().__init__(value, elem_id=f"{elem_id}-checkbox", visible=False, **kwargs)
        self.change(None, inputs=[self], _js=f"(on) => inputAccordionChecked('{elem_id}', on)")
        self.accordion = gr.Accordion(open=value, elem_id=elem_id, elem_classes="input-accordion", **kwargs)

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, *exception):
        return self.accordion.__exit__(*exception)

    def get_block_name(self):
        return "checkbox"
