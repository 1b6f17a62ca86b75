"""Starts the miniature webui, with the real one's command line: python launch.py --api --port 7860."""

import gc
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

import mini


def webui():
    from modules import call_queue, initialize, script_callbacks, shared, ui
    from modules.gradio_extensons import _without_app
    from modules.timer import startup_timer

    initialize.initialize()
    while True:
        script_callbacks.before_ui_callback()
        shared.demo = ui.create_ui()
        with _without_app():
            shared.demo.queue(64)
        app, _, _ = shared.demo.launch(
            server_name="127.0.0.1", server_port=shared.cmd_opts.port, prevent_thread_lock=True, show_api=False
        )
        if shared.cmd_opts.api:
            from modules.api.api import Api

            Api(app, call_queue.queue_lock)
        script_callbacks.app_started_callback(shared.demo, app)
        gc.freeze()  # or every swap looks through all of torch, gradio and the page
        print(f"Startup time: {startup_timer.summary()}.", flush=True)
        shared.state.wait_for_server_command()
        shared.demo.close()
        print("Restarting UI...", flush=True)
        time.sleep(0.5)
        script_callbacks.script_unloaded_callback()
        initialize.initialize_rest(reload_script_modules=True)


if __name__ == "__main__":
    mini.arguments = sys.argv[1:]
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from mini import device
    from modules.shared_cmd_options import cmd_opts

    if cmd_opts.like == "forge":  # by the function that tells it from all others
        from modules import sd_models

        sd_models.forge_model_reload = sd_models.reload_model_weights
    with device.pretend(device.of_flags(cmd_opts)):
        webui()
