"""Mutations of how a job begins and ends: of the parts of it and of what clears up after it."""

from __future__ import annotations

from tools.mutation import AS_BEFORE, ENDINGS, LATER, ROWS, TAKEN_AGAIN, UNDOING, Mutation

CLEARING_UP = [
    Mutation(
        "the-second-pass-goes-on-after-a-job",
        "webui/a1111/pass_vae.py",
        "        self.vaes, self.in_hires_pass = Vaes(), False",
        "        pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "lending-goes-on-after-a-job", "job/jobs.py", "            running.end()", "            pass", (AS_BEFORE,)
    ),
    *(
        Mutation(
            f"{name}-goes-on-after-a-job",
            "job/jobs.py",
            "            self.parts.pop(type(part), None)",
            f"            type(part) is {part} or self.parts.pop(type(part), None)",
            (AS_BEFORE,),
        )
        for name, part in (("tags", "Tags"), ("the-infotext", "Keys"), ("controlnet", "Control"))
    ),
    Mutation(
        "the-hires-pass-goes-on-after-it",
        "passes/once.py",
        "        stages.in_hires = False",
        "        pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "the-text-goes-on-after-a-job",
        "passes/progress.py",
        "        host.status.say(None if text == self.text else text, self.job_before if job == self.job else job)",
        "        pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "the-journal-goes-on-after-a-job",
        "state.py",
        '        """The job is over, however it ended; calling it again changes nothing."""\n        self.job = None',
        "        pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "reading-ahead-goes-on-after-a-job",
        "passes/ahead.py",
        '    def end(self) -> None:\n        """End reading;',
        '    def never(self) -> None:\n        """End reading;',
        (AS_BEFORE,),
    ),
    Mutation(
        "no-part-is-taken-out",
        "job/jobs.py",
        "            self.parts.pop(type(part), None)",
        "            pass",
        (AS_BEFORE,),
    ),
    Mutation(
        "a-failed-step-is-not-taken-again",
        "job/jobs.py",
        "            self._failed.append(part)",
        "            pass",
        (TAKEN_AGAIN,),
    ),
    Mutation(
        "a-job-is-over-before-all-steps-are-taken",
        "job/jobs.py",
        "        if not failed and running.job is self:",
        "        if running.job is self:",
        (TAKEN_AGAIN,),
    ),
    Mutation(
        "a-failed-step-is-forgotten",
        "job/jobs.py",
        "        for part in reversed(failed):\n            self._stack.callback(self._leave, part)\n",
        "",
        (TAKEN_AGAIN,),
    ),
    Mutation(
        "failed-steps-are-taken-again-in-another-order",
        "job/jobs.py",
        "        for part in reversed(failed):",
        "        for part in failed:",
        (TAKEN_AGAIN,),
    ),
    Mutation(
        "a-failed-step-fails-the-job",
        "job/jobs.py",
        '        except Exception:\n            log.exception("something of the job',
        '        except ArithmeticError:\n            log.exception("something of the job',
        (TAKEN_AGAIN,),
    ),
    Mutation(
        "a-job-that-cannot-begin-runs-on",
        "job/hooks.py",
        "        job.end(error)\n        raise",
        "        raise",
        (f"{ENDINGS}::test_a_job_that_cannot_be_entered_is_over_at_once",),
    ),
    Mutation(
        "what-a-job-could-not-begin-for-is-not-told",
        "job/hooks.py",
        "        job.end(error)\n        raise",
        "        job.end()\n        raise",
        (f"{ENDINGS}::test_a_job_whose_checkpoints_cannot_be_kept_is_over_at_once",),
    ),
    Mutation(
        "a-part-that-cannot-begin-is-not-left",
        "job/jobs.py",
        "        self._stack.callback(self._leave, part)\n        self.parts[type(part)] = part\n        part.begin()",
        "        self.parts[type(part)] = part\n        part.begin()\n        self._stack.callback(self._leave, part)",
        (f"{ENDINGS}::test_a_job_that_cannot_be_entered_is_over_at_once",),
    ),
    Mutation(
        "what-a-job-failed-with-is-not-told",
        "job/closing.py",
        "            job.end(sys.exc_info()[1])",
        "            job.end()",
        (f"{UNDOING}::test_running_out_of_memory_puts_the_models_right_at_the_end",),
    ),
    Mutation(
        "what-ran-out-is-not-remembered",
        "passes/gauge.py",
        "            _ran_out(used, self._plan.decision, self._plan.estimate, self._lack)\n",
        "",
        (LATER,),
    ),
    Mutation("an-earlier-job-is-not-ended", "job/hooks.py", "    end_running()\n    refusal", "    refusal", (ROWS,)),
    Mutation(
        "the-end-of-a-plot-does-not-count",
        "job/closing.py",
        "(job.owner() is self or refusal.is_whole(self))",
        "job.owner() is self",
        (f"{ENDINGS}::test_closing_a_script_job_ends_what_its_last_cell_has_left",),
    ),
    Mutation(
        "out-of-memory-without-mending",
        "passes/gauge.py",
        "self._plan.estimate, self._lack)\n            host.models.mend()",
        "self._plan.estimate, self._lack)",
        (f"{UNDOING}::test_running_out_of_memory_puts_the_models_right_at_the_end",),
    ),
    Mutation(
        "tiling-stays-on-parked-checkpoints",
        "webui/a1111/follow.py",
        "            _pad(model.modules(), False)\n",
        "",
        (AS_BEFORE,),
    ),
    Mutation(
        "loras-are-not-read-anew",
        "passes/networks.py",
        "        if self.crossing:\n            host.loras.read_anew()\n",
        "        pass\n",
        (f"{UNDOING}::test_loras_are_read_anew_after_a_job_of_two_architectures",),
    ),
    Mutation(
        "a-vae-is-kept-for-nobody",
        "webui/a1111/pass_vae.py",
        "        if not self.vaes.keep:\n            forget()\n",
        "        pass\n",
        (f"{UNDOING}::test_a_vae_that_the_next_job_does_not_keep_is_forgotten",),
    ),
    Mutation(
        "an-interrupted-pass-keeps-its-vae",
        "passes/hires_pass.py",
        "            vae.end()  # the first pass's latents are all that comes of it\n"
        "            host.pass_vae.settle()\n",
        "",
        (f"{UNDOING}::test_an_interrupted_first_pass_is_decoded_without_the_second_passes_vae",),
    ),
    Mutation(
        "biases-are-not-forgotten",
        "webui/a1111/swaps.py",
        "            lora_memory.forget_biases(sd_models.model_data.sd_model)",
        "            pass",
        (f"{UNDOING}::test_a_swap_in_a_job_forgets_biases_without_weights",),
    ),
]
