import datetime
import threading
import time

_AT_FIRST = {
    **dict.fromkeys(("job_no", "sampling_step"), 0),
    **dict.fromkeys(("skipped", "interrupted", "stopping_generation", "processing_has_refined_job_count"), False),
}
_TOLD = "skipped interrupted job job_count job_timestamp job_no sampling_step sampling_steps"


class State:
    job, job_count, job_timestamp, sampling_steps = "", 0, "0", 0
    current_image = textinfo = time_start = None

    def __init__(self):
        self._restart = threading.Event()
        vars(self).update(_AT_FIRST)

    def wait_for_server_command(self, timeout=None):
        """There is one command."""
        self._restart.wait()
        self._restart.clear()
        return "restart"

    def request_restart(self):
        self.interrupted = True
        self._restart.set()

    def skip(self):
        self.skipped = True

    def interrupt(self):
        self.interrupted = True

    def nextjob(self):
        self.sampling_step, self.job_no = 0, self.job_no + 1

    def begin(self, job: str = "(unknown)"):
        """Everything as at the start, but for the counts of jobs."""
        vars(self).update(_AT_FIRST, job=job, job_count=-1, time_start=time.time())
        self.job_timestamp = f"{datetime.datetime.now():%Y%m%d%H%M%S}"

    def end(self):
        self.job_count, self.job = 0, ""

    def dict(self):
        return {name: getattr(self, name) for name in _TOLD.split()}
