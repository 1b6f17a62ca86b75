import time


class Timer:
    def __init__(self, print_log=False):
        self._start = time.perf_counter()

    def record(self, category, extra_time=0, disable_log=False): ...

    def summary(self):
        return f"{time.perf_counter() - self._start:.1f}s"


startup_timer = Timer()
