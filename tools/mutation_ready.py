"""Mutations of what is made ready ahead: what is handed out, what it is compared with, and whose memory is taken."""

from __future__ import annotations

from tools.mutation import Mutation

TESTS, READY, LENT, FORGE = (
    "hooks/test_ready.py",
    *(f"webui/a1111/{name}.py" for name in ("ready", "lent", "forge_models")),
)
AHEAD, READER, JOBS = "passes/ahead.py", "memory/reader.py", "job/jobs.py"


def _mutations(file: str, test: str, changes: dict[str, tuple[str, str]]) -> list[Mutation]:
    where = f"{TESTS}::{test}" if test.startswith("test_") else test
    return [Mutation(name, file, before, after, (where,)) for name, (before, after) in changes.items()]


IN_READY = {
    "test_which_weights_are_made": {
        "what-a1111-keeps-in-other-dtypes": (
            "devices.dtype_unet if name.startswith(_ALIKE) else None",
            "devices.dtype_unet",
        ),
        "a-vae-too": ("if name.startswith(_NOT) or (", "if ("),
    },
    "test_what_the_webui_does_not_read_so_is_left_out": {
        "a-kind-of-its-own": ("if type(state.get(name)) is torch.Tensor}", "if name in state}"),
        "not-where-it-was": ("if distance == most[0][0]}", "}"),
        "another-shape": ("if stored.shape != made.shape or not", "if not"),
    },
    "test_what_was_changed_where_it_lies_counts": {
        "no-look-at-it": ("return torch.equal(one, other)", "return True"),
    },
    "test_every_dtype_can_be_looked_at": {
        "nan-is-not-itself": (".contiguous().view(torch.uint8) for t", ".contiguous().float() for t"),
    },
    "test_a_file_that_changed_is_read_by_the_webui": {
        "another-file-under-its-name": ("state_of(self.path) != self._state or ", ""),
    },
    "test_a_cache_of_files_that_is_switched_on_meanwhile_gets_its_own": {
        "a-cache-meanwhile": ("!= self._state or _webui_keeps_files():", "!= self._state:"),
    },
    "test_after_a_swap_nothing_more_is_made": {
        "more-is-made-after-a-swap": ("if self._is_over or not keep_going():", "if not keep_going():"),
        "a-late-weight": (
            "                if not self._is_over:\n                    self",
            "                if True:\n                    self",
        ),
    },
    "test_a_swap_in_the_middle_takes_what_is_whole": {
        "half-a-weight": (
            "                        return\n                    piece",
            "                        break\n                    piece",
        ),
        "what-was-made-stays": ("        self._made.clear()\n", ""),
    },
    "test_what_moves_fast_keeps_its_own_memory": {
        "a-home-loses-its-memory": ("lends = not host.fast_swaps.are_on()", "lends = True"),
    },
    "test_without_room_nothing_is_made": {"the-reserve-is-taken": ("or 0) - self._beside", "or 0)")},
    "test_what_others_take_meanwhile_is_theirs": {"what-others-take": ("> free - self._beside:", "> free:")},
    "test_reforge_goes_on_loading_where_it_did": {"loads-elsewhere": ("max(beside, vram)", "beside")},
    "test_not_of_what_reforge_loads_to_the_device": {
        "twice-on-one-memory": ("is_left = forge_models.loads_to_the_device() or not", "is_left = not"),
    },
    "test_not_of_quantised_weights_there": {
        "quantised-too": (" or not is_plain(host.files.facts_of(checkpoint))", ""),
    },
    "test_reforges_weights_never_get_a_smaller_dtype": {
        "another-kind-than-the-models": (
            "- self._beside\n        with torch.inference_mode(self._inference)",
            "- self._beside\n        with torch.inference_mode(False)",
        ),
        "a-smaller-dtype": ("return torch.float32 if in_full else stored", "return devices.dtype_unet"),
        "full-precision-on-a-card": (" or (stored == torch.float32 and not in_full):", ":"),
    },
    "test_a_swap_takes_what_was_made": {
        "buffers-too": (
            "return stored.is_floating_point() and stored.dim() > 1",
            "return stored.is_floating_point()",
        ),
    },
    "test_not_where_the_webui_does_otherwise_with_files": {
        "what-the-webui-remembers": ("    if _webui_keeps_files() or getattr(", "    if getattr("),
        "into-vram": ("if shared.weight_load_location is None or not", "if not"),
    },
}
"""By test, what it kills."""

IN_LENT = {
    "the-memory-of-another-kind": ("if parameter.is_inference() != weight.is_inference() or not", "if not"),
    "the-memory-of-another-layout": ("parameter.is_contiguous() and weight.is_contiguous()", "True"),
    "the-memory-of-another-dtype": ('"layout", "dtype", "shape"', '"layout", "shape"'),
    "the-memory-of-no-parameter": ("isinstance(parameter, torch.nn.Parameter) and ", ""),
    "the-memory-of-others": (
        "return parameter.untyped_storage().nbytes() == parameter.numel() * parameter.element_size()",
        "return True",
    ),
}

MADE_READY = [
    *(one for test, changes in IN_READY.items() for one in _mutations(READY, test, changes)),
    *_mutations(LENT, "test_what_is_not_like_it_gets_its_values", IN_LENT),
    *_mutations(LENT, "test_it_lends_once", {"lent-twice": (" or weight.is_spent:", ":")}),
    *_mutations(
        LENT,
        "test_a_parameter_can_be_made_of_a_lent_weight",
        {
            "the-memory-of-a-model": ("            result.is_spent = True\n", ""),
            "what-a-model-has-made-of-it": ("args[0].is_spent, result = True, ", "result = "),
        },
    ),
    *_mutations(
        FORGE,
        "test_memory_managers_that_load_to_the_device",
        {"one-memory-for-both": ('("HIGH_VRAM", "SHARED")', '("HIGH_VRAM",)')},
    ),
    *_mutations(
        JOBS,
        "test_the_reserve_and_the_largest_checkpoint_stay_free",
        {"no-room-for-what-parks": ("memory.ram_reserve + max(sizes, default=0)", "memory.ram_reserve")},
    ),
    *_mutations(
        AHEAD,
        "test_the_first_passs_checkpoint_is_read_and_not_made",
        {"the-first-passs-too": ("return None if is_first else", "return")},
    ),
    *_mutations(
        AHEAD,
        "hooks/test_as_before.py",
        {"ready-after-the-job": ("self._next = self._ready = None", "self._next = None")},
    ),
    *_mutations(
        READER,
        "unit/test_reader.py",
        {
            "the-hash-ends-it": (
                "            if not reading.is_over:\n                self._halt(None)",
                "            self._halt(None)",
            ),
            "ready-though-unread": ("reading.is_whole and goes_on()", "goes_on()"),
        },
    ),
]
