import threading
import time
from functools import wraps

from modules import shared

queue_lock = threading.RLock()


def wrap_queued_call(func):
    return wraps(func)(lambda *args, **kwargs: _in_turn(func, args, kwargs))


def _in_turn(func, args, kwargs):
    with queue_lock:
        return func(*args, **kwargs)


def wrap_gradio_gpu_call(func):
    """One job at a time; the last output, as HTML, says how long it took."""

    @wraps(func)
    def wrapped(*args, **kwargs):
        started = time.perf_counter()
        with queue_lock:
            shared.state.begin(job=args[0])
            try:
                *others, log = func(*args, **kwargs)
            finally:
                shared.state.end()
                shared.state.skipped = shared.state.interrupted = False
        seconds = time.perf_counter() - started
        log += f"<div class='performance'><p class='time'>Time taken: {seconds:.1f} sec.</p></div>"
        return *others, log

    return wrapped
