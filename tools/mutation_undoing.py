"""Mutations of what is undone in a ``finally``, and when the webui unloads the extension."""

from __future__ import annotations

from tools.mutation import AS_BEFORE, ENDINGS, HOOKS, LENT, PROGRESS, ROWS, UNDOING, UNLOADING, Mutation

WRAPPING, STARTING = "webui/wrapping.py", "test_start.py"

FINALLY = [
    Mutation(
        "room-stays",
        "webui/a1111/models.py",
        "    finally:\n        kept.room = 0",
        "    finally:\n        pass",
        (ROWS,),
    ),
    Mutation(
        "held-after-a-failure",
        "webui/a1111/models.py",
        "        follow.leave()\n    finally:\n        kept.decision = None",
        "        follow.leave()\n        kept.decision = None\n    finally:\n        pass",
        (f"{UNDOING}::test_what_cannot_be_let_go_of_is_not_held_either",),
    ),
    Mutation(
        "a-swap-is-never-over",
        "webui/a1111/lending.py",
        "    finally:\n        running.before, running.is_swapping = outer",
        "    finally:\n        pass",
        (ROWS, LENT),
    ),
    Mutation(
        "the-hash-of-the-second-stays",
        "webui/a1111/swaps.py",
        "    finally:\n        if stays:\n",
        "    finally:\n        if False:\n",
        (f"{HOOKS}::test_the_hash_option_stays_the_first_passes",),
    ),
    Mutation(
        "the-hash-does-not-follow",
        "webui/a1111/swaps.py",
        "        elif not sd_models.SkipWritingToConfig.skip:",
        "        elif False:",
        (f"{HOOKS}::test_the_hash_option_follows_to_a_checkpoint_that_was_left_active",),
    ),
    Mutation(
        "the-second-cfg-scale-stays",
        "passes/hires_pass.py",
        "        finally:\n            self.cfg_scale = first",
        "        finally:\n            pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "the-hires-pass-is-never-over",
        "webui/a1111/pass_vae.py",
        "        finally:\n            self.in_hires_pass = False",
        "        finally:\n            pass",
        (f"{UNDOING}::test_the_hires_passes_vae_is_on_in_it_alone",),
    ),
    Mutation(
        "the-second-clip-skip-stays",
        "webui/a1111/options.py",
        "    finally:\n        delattr(options_class, name)",
        "    finally:\n        pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "a-swap-within-a-pass-is-not-named",
        "passes/progress.py",
        "        finally:\n            if running.part(Progress) is self and self.stage:",
        "        finally:\n            if False:",
        (f"{PROGRESS}::test_the_refiner_is_named_where_it_takes_over",),
    ),
    Mutation(
        "a-stage-is-never-over",
        "passes/progress.py",
        "        finally:\n            self.stage = outer",
        "        finally:\n            pass",
        (f"{PROGRESS}::test_passes_loads_and_faces_are_named",),
    ),
    Mutation(
        "a-pass-takes-times-after-its-end",
        "plan/report.py",
        "            self._running.pop()",
        "            pass",
        ("unit/test_forecast.py::test_a_pass_that_fails_has_ended",),
    ),
    Mutation(
        "the-first-pass-is-never-over",
        "passes/first_pass.py",
        "        finally:\n            first.sampling = None",
        "        finally:\n            pass",
        ("hooks/test_between.py::test_the_job_is_forgotten_when_its_first_pass_fails",),
    ),
    Mutation(
        "the-first-passes-pictures-stay",
        "webui/a1111/pictures.py",
        "    finally:\n        sd_samplers.sample_to_image = original",
        "    finally:\n        pass",
        (AS_BEFORE,),
    ),
]

RELOADING = [
    *(
        Mutation(name, f"webui/{file}.py", text, replacement, (UNLOADING,))
        for name, file, text, replacement in (
            ("the-running-job-outlives-the-extension", "wrapping", "    before_unload()\n", ""),
            ("a-vae-outlives-the-extension", "a1111/slots", "    pass_vae.settle()\n", ""),
            ("a-kept-vae-outlives-the-extension", "a1111/slots", "    pass_vae.forget()\n", ""),
            ("kept-checkpoints-outlive-the-extension", "a1111/slots", "        models.let_go(None)", "        pass"),
            ("wrappers-outlive-the-extension", "wrapping", "        patches.undo(KEY, owner, name)", "        pass"),
            ("properties-outlive-the-extension", "wrapping", "        more.uninstall()", "        pass"),
        )
    ),
    *(
        Mutation(name, file, text, replacement, (STARTING,))
        for name, file, text, replacement in (
            ("a-start-that-fails-leaves-all", "start.py", "        host.slots.give_back()\n", ""),
            (
                "a-start-that-fails-leaves-callbacks",
                WRAPPING,
                "    script_callbacks.remove_current_script_callbacks()",
                "",
            ),
        )
    ),
    Mutation(
        "the-first-wrapper-outlives-the-extension",
        WRAPPING,
        "    for owner, name in [*patches.originals[KEY]]:",
        "    for owner, name in [*patches.originals[KEY]][1:]:",
        (f"{ENDINGS}::test_nothing_is_left_on_the_webuis_classes", UNLOADING),
    ),
    Mutation(
        "another-extensions-wrapper-is-passed-by",
        WRAPPING,
        "make(getattr(owner, name))",
        'make(globals().setdefault("_first", {}).setdefault((owner, name), getattr(owner, name)))',
        (f"{ENDINGS}::test_another_extensions_wrappers_below_ours",),
    ),
    Mutation(
        "refused-by-the-outermost-wrapper-alone",
        "job/refusal.py",
        "        if sentence is not None:",
        "        if sentence is not None and type(self).init is init:",
        (f"{ENDINGS}::test_another_extensions_wrappers_around_ours",),
    ),
]
