"""The list of mutations: changes of the product that its tests must notice, most of them to what undoes something."""

from __future__ import annotations

from tools.mutation import AS_BEFORE, AT_ONCE, ENDINGS, ROWS, SECOND, UNDOING, Mutation
from tools.mutation_ends import CLEARING_UP
from tools.mutation_fast import FAST_SWAPS
from tools.mutation_neo import OF_NEO
from tools.mutation_ready import MADE_READY
from tools.mutation_stages import KEPT_STAGES
from tools.mutation_undoing import FINALLY, RELOADING

LOCKS = [
    Mutation(
        "finish-without-its-lock",
        "memory/reader.py",
        "        with self._lock:\n            if reading is not self._reading:",
        "        if True:\n            if reading is not self._reading:",
        (AT_ONCE,),
    ),
    Mutation(
        "stop-without-its-lock",
        "memory/reader.py",
        "        with self._lock:\n            if self._halt(LONGEST_CHUNK)",
        "        if True:\n            if self._halt(LONGEST_CHUNK)",
        (AT_ONCE,),
    ),
    Mutation(
        "start-without-its-lock",
        "memory/reader.py",
        "        with self._lock:\n            if self.path == path:",
        "        if True:\n            if self.path == path:",
        (AT_ONCE,),
    ),
    Mutation(
        "release-without-the-queue",
        "api/release.py",
        "    with host.status.queue():",
        "    if True:",
        ("test_two_at_once.py::test_a_release_during_a_job_waits_for_its_end",),
    ),
]

THREADS = [
    Mutation(
        "reading-goes-on-after-a-stop",
        "memory/reader.py",
        "        self._stop.set()\n",
        "",
        (AT_ONCE, "test_reader.py"),
    ),
    Mutation(
        "file-stays-open-after-a-stop",
        "memory/reader.py",
        "                self._reading.close()",
        "                pass",
        (AT_ONCE,),
    ),
    Mutation(
        "the-reader-goes-on-after-a-job",
        "passes/ahead.py",
        "        self._next = self._ready = None\n        self.reader.stop()",
        "        self._next = self._ready = None",
        (ROWS,),
    ),
    Mutation(
        "reading-goes-on-after-an-interrupt",
        "passes/ahead.py",
        "lambda: not host.status.is_interrupted()",
        "lambda: True",
        ("test_ahead.py::test_an_interrupt_ends_the_reading",),
    ),
]

JOBS = [
    Mutation(
        "seed-and-prompt-exchanged",
        "webui/a1111/pictures.py",
        'images.save_image(picture, folder, "", seed, prompt, kind,',
        'images.save_image(picture, folder, "", prompt, seed, kind,',
        (f"{UNDOING}::test_a_saved_first_pass_is_saved_with_its_seed_and_prompt",),
    ),
    Mutation(
        "a-refused-job-keeps-its-checkpoint",
        "job/refusal.py",
        'for name, value in overrides.items() if name != "sd_model_checkpoint"}',
        "for name, value in overrides.items()}",
        (AS_BEFORE,),
    ),
    Mutation(
        "refused-for-good",
        "job/refusal.py",
        '    vars(p).pop("_multipass_refused", None)',
        "    pass",
        (f"{ENDINGS}::test_a_job_that_was_refused_can_be_made_with_other_arguments",),
    ),
    Mutation(
        "a-refusal-hides-a-failure",
        "job/refusal.py",
        "failures and sys.exc_info()[0] is None:",
        "failures:",
        (f"{UNDOING}::test_a_failure_goes_before_a_refusal",),
    ),
    Mutation(
        "nothing-active-is-moved-away",
        "webui/a1111/limits.py",
        "    if kept.decision is not None and active is None:",
        "    if False:",
        (f"{UNDOING}::test_a_swap_without_an_active_model_moves_none_away",),
    ),
    Mutation(
        "a-changed-vae-is-not-read-again",
        "webui/a1111/pass_vae.py",
        "kept.vae is not None and kept.vae[0] == file",
        "kept.vae is not None",
        (f"{SECOND}::test_a_kept_vae_is_read_again_when_its_file_changes",),
    ),
    Mutation(
        "a-load-draws-random-numbers",
        "webui/a1111/hardware.py",
        "    with torch.random.fork_rng(devices=[] if index is None else [index]):",
        "    if index is None or index is not None:",
        ("test_noise.py",),
    ),
    Mutation(
        "the-settings-vae-is-not-lent",
        "webui/a1111/lending.py",
        "        elif missing.is_vae(part) and _given(info):\n            state = ",
        "        elif False:\n            state = ",
        (f"{UNDOING}::test_a_vae_that_the_settings_give_is_lent_when_nobody_else_can",),
    ),
    Mutation(
        "a-vae-that-does-not-fit-is-wanted-on",
        "webui/a1111/pass_vae.py",
        "            part.end()\n",
        "",
        (SECOND,),
    ),
    Mutation(
        "an-ended-job-teaches",
        "passes/gauge.py",
        "is None or host.status.is_over():",
        "is None:",
        ("test_moves.py::test_a_job_that_was_ended_teaches_nothing",),
    ),
    Mutation(
        "another-card-is-read",
        "webui/a1111/hardware.py",
        "reset_peak_memory_stats(index)",
        "reset_peak_memory_stats()",
        ("test_gauge.py",),
    ),
    Mutation(
        "parts-are-taken-for-pictures",
        "passes/gauge.py",
        "needed(self._before, after, self._arriving)",
        "needed(self._before, after)",
        ("test_gauge.py",),
    ),
    Mutation(
        "a-card-that-spills-over-is-not-seen",
        "passes/gauge.py",
        "        self._checked = True\n        self._look()\n",
        "        self._checked = True\n",
        ("test_gauge.py",),
    ),
    Mutation(
        "greedy-attention-teaches-all-it-took",
        "memory/working.py",
        "min(MARGIN * learnt, MOST * estimated)",
        "MARGIN * learnt",
        ("test_gauge.py",),
    ),
]

EDGES = [
    Mutation(
        "a-file-that-just-fits-is-not-read",
        "memory/reader.py",
        "file_bytes <= available_bytes - reserve",
        "file_bytes < available_bytes - reserve",
        ("test_reader.py::test_worth_reading",),
    ),
    Mutation(
        "what-just-fits-into-vram-does-not",
        "memory/room.py",
        "vram + beside[0] <= self.vram",
        "vram + beside[0] < self.vram",
        ("test_placement.py",),
    ),
    Mutation(
        "what-just-fits-into-ram-does-not",
        "memory/room.py",
        "ram + beside[1] <= self.ram)",
        "ram + beside[1] < self.ram)",
        ("test_placement.py",),
    ),
    Mutation(
        "as-large-a-job-as-ran-out-may-try-again",
        "memory/placement.py",
        "estimate < self.estimate",
        "estimate <= self.estimate",
        ("test_moves.py::test_pictures_too_large_for_the_device_take_vram_away_from_that_size_up",),
    ),
    Mutation(
        "one-more-is-kept-in-ram-than-may-be",
        "memory/placement.py",
        "places.count(RAM) <= cap.count",
        "places.count(RAM) < cap.count + 2",
        ("test_placement.py",),
    ),
]

MUTATIONS = [
    *LOCKS,
    *THREADS,
    *CLEARING_UP,
    *FINALLY,
    *RELOADING,
    *JOBS,
    *EDGES,
    *KEPT_STAGES,
    *OF_NEO,
    *FAST_SWAPS,
    *MADE_READY,
]
