import html

import gradio as gr
from modules.ui_components import ToolButton

refresh_symbol = "\U0001f504"


def plaintext_to_html(text, classname=None):
    lines = "<br>\n".join(html.escape(line) for line in text.split("\n"))
    return f"<p class='{classname}'>{lines}</p>" if classname else f"<p>{lines}</p>"


def create_refresh_button(refresh_component, refresh_method, refreshed_args, elem_id):
    """A button that calls the method and gives the component what `refreshed_args` says then."""

    def refresh():
        refresh_method()
        news = refreshed_args() if callable(refreshed_args) else refreshed_args
        vars(refresh_component).update(news)
        return gr.update(**news)

    button = ToolButton(refresh_symbol, elem_id=elem_id)
    button.click(refresh, [], [refresh_component])
    return button
