import html
import threading
import time
from functools import wraps

from modules import errors, shared

queue_lock = threading.RLock()


def wrap_queued_call(func):
    def queued(*args, **kwargs):
        with queue_lock:
            return func(*args, **kwargs)

    return queued


def wrap_gradio_gpu_call(func, extra_outputs=None):
    """One job at a time; an exception becomes the last output, as HTML, after `extra_outputs`."""

    @wraps(func)
    def wrapped(*args, **kwargs):
        started = time.perf_counter()
        with queue_lock:
            shared.state.begin(job=args[0] if args else "")
            try:
                outputs = list(func(*args, **kwargs))
            except Exception as e:
                errors.report("a job of the page failed", exc_info=True)
                message = html.escape(f"{type(e).__name__}: {e}")
                outputs = [*(extra_outputs or [None, ""]), f"<div class='error'>{message}</div>"]
            finally:
                shared.state.end()
                shared.state.skipped = shared.state.interrupted = False
        seconds = time.perf_counter() - started
        outputs[-1] += f"<div class='performance'><p class='time'>Time taken: {seconds:.1f} sec.</p></div>"
        return tuple(outputs)

    return wrapped
