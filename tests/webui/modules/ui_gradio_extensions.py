"""Puts the page's own script, and every extension's scripts and style sheet, into the page."""

from pathlib import Path

import gradio as gr
import mini
from modules import scripts, shared


def _head():
    own = Path(shared.__file__).parents[1] / "mini"
    files = [own / "page.js", *(Path(found.path) for found in scripts.list_scripts("javascript", ".js"))]
    parts = [f"<script>window.miniatureIsOld = {str(mini.old_host).lower()};</script>"]
    parts += [f'<script data-file="{file.name}">\n{file.read_text(encoding="utf8")}</script>' for file in files]
    sheets = [own / "page.css", *map(Path, scripts.list_files_with_name("style.css"))]
    return "\n".join(parts + [f"<style>\n{sheet.read_text(encoding='utf8')}</style>" for sheet in sheets])


def reload_javascript():
    head = _head().encode("utf8")
    templates = gr.routes.templates
    gradios = vars(shared).setdefault("GradioTemplateResponseOriginal", templates.TemplateResponse)

    def respond(*args, **kwargs):
        answer = gradios(*args, **kwargs)
        answer.body = answer.body.replace(b"</head>", head + b"</head>")
        answer.init_headers()
        return answer

    templates.TemplateResponse = respond
