"""Mutations of what is made ready ahead: what is handed out, what it is compared with, and whose memory is taken."""

from __future__ import annotations

from tools.mutation import Mutation

TESTS, READY, AHEAD, READER = "hooks/test_ready.py", "webui/a1111/ready.py", "passes/ahead.py", "memory/reader.py"


def _without(name: str, before: str, after: str, test: str, file: str = READY) -> Mutation:
    return Mutation(name, file, before, after, (f"{TESTS}::{test}",))


MADE_READY = [
    _without(
        "what-a1111-keeps-in-other-dtypes",
        "devices.dtype_unet if name.startswith(_ALIKE) else None",
        "devices.dtype_unet",
        "test_which_weights_are_made",
    ),
    _without(
        "an-extensions-change-is-lost",
        "fits = {name: tensor for name, tensor in made.items() if _is_made_from(tensor, state.get(name))}",
        "fits = made",
        "test_what_an_extension_changes_on_the_way_counts",
    ),
    _without(
        "what-is-not-read-is-handed-out",
        "if stored is None or stored.shape != made.shape or",
        "if stored is None or",
        "test_what_the_webui_does_not_read_so_is_left_out",
    ),
    _without(
        "another-file-under-its-name",
        "if not made or state_of(self.path) != self._state:",
        "if not made:",
        "test_a_file_that_changed_is_read_by_the_webui",
    ),
    _without(
        "more-is-made-after-a-swap",
        "if self._is_over or not keep_going():",
        "if not keep_going():",
        "test_after_a_swap_nothing_more_is_made",
    ),
    _without(
        "half-a-weight",
        "                        return\n                    piece",
        "                        break\n                    piece",
        "test_a_swap_in_the_middle_takes_what_is_whole",
    ),
    _without(
        "what-was-made-stays", "        self._made.clear()\n", "", "test_a_swap_in_the_middle_takes_what_is_whole"
    ),
    _without(
        "a-home-loses-its-memory",
        "lends = not host.fast_swaps.are_on()",
        "lends = True",
        "test_what_moves_fast_keeps_its_own_memory",
    ),
    _without(
        "the-reserve-is-taken",
        "if free is None or taken > free - self._beside:",
        "if free is None or taken > free:",
        "test_without_room_nothing_is_made",
    ),
    _without(
        "another-kind-than-the-models",
        "torch.inference_mode(self._inference)",
        "torch.inference_mode(False)",
        "test_reforges_weights_never_get_a_smaller_dtype",
    ),
    _without(
        "a-smaller-dtype",
        '_ON_CPU.get(stored, stored) if devices.device.type == "cpu" else stored',
        "devices.dtype_unet",
        "test_reforges_weights_never_get_a_smaller_dtype",
    ),
    _without(
        "the-memory-of-another-kind",
        "if parameter.is_inference() != weight.is_inference() or",
        "if",
        "test_what_is_not_like_it_gets_its_values",
    ),
    _without(
        "buffers-too",
        "return stored.is_floating_point() and stored.dim() > 1",
        "return stored.is_floating_point()",
        "test_a_swap_takes_what_was_made",
    ),
    _without(
        "the-memory-of-another-layout",
        "    return alike and parameter.is_contiguous() and weight.is_contiguous()",
        "    return alike",
        "test_what_is_not_like_it_gets_its_values",
    ),
    _without(
        "the-memory-of-another-dtype",
        '("shape", "dtype", "device")',
        '("shape", "device")',
        "test_what_is_not_like_it_gets_its_values",
    ),
    _without(
        "the-memory-of-a-model",
        " or isinstance(weight, torch.nn.Parameter)",
        "",
        "test_a_parameter_can_be_made_of_a_lent_weight",
    ),
    _without(
        "the-memory-of-others",
        " or _bytes(parameter) != parameter.untyped_storage().nbytes()",
        "",
        "test_what_is_not_like_it_gets_its_values",
    ),
    _without(
        "what-the-webui-remembers",
        "if keeps > 0 or",
        "if",
        "test_not_where_the_webui_does_otherwise_with_files",
    ),
    _without(
        "no-room-for-what-parks",
        "memory.ram_reserve + max(sizes, default=0)",
        "memory.ram_reserve",
        "test_the_reserve_and_the_largest_checkpoint_stay_free",
        "job/jobs.py",
    ),
    _without(
        "the-first-passs-too",
        "return None if is_first else",
        "return",
        "test_the_first_passs_checkpoint_is_read_and_not_made",
        AHEAD,
    ),
    Mutation(
        "ready-after-the-job",
        AHEAD,
        "self._next = self._ready = None",
        "self._next = None",
        ("hooks/test_as_before.py",),
    ),
    Mutation(
        "the-hash-ends-it",
        READER,
        "            if not reading.is_over:\n                self._halt(None)",
        "            self._halt(None)",
        ("unit/test_reader.py",),
    ),
    Mutation("ready-though-unread", READER, "reading.is_whole and goes_on()", "goes_on()", ("unit/test_reader.py",)),
]
