import html

import gradio as gr
from modules.ui_components import ToolButton

refresh_symbol = "\U0001f504"


def plaintext_to_html(text, classname=None):
    tag = f"p class='{classname}'" if classname else "p"
    return f"<{tag}>" + html.escape(text).replace("\n", "<br>\n") + "</p>"


def create_refresh_button(refresh_component, refresh_method, refreshed_args, elem_id):
    """A button that calls the method and gives the component what `refreshed_args` says then."""

    def refresh():
        refresh_method()
        known = refreshed_args()
        for name, value in known.items():
            setattr(refresh_component, name, value)
        return gr.update(**known)

    button = ToolButton(refresh_symbol, elem_id=elem_id)
    button.click(refresh, outputs=[refresh_component])
    return button
