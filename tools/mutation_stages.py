"""Mutations of what is kept between jobs so that it need not be made again."""

from __future__ import annotations

from tools.mutation import Mutation

STAGES = "hooks/test_stages.py"

KEPT_STAGES = [
    Mutation(
        "generators-are-not-put-back",
        "passes/sampled.py",
        "    host.stages.put_back(stage.generators)\n",
        "",
        (f"{STAGES}::test_random_generators_are_as_it_left_them",),
    ),
    *(
        Mutation(
            f"{name}-of-a-kept-stage-are-lost",
            "passes/sampled.py",
            f"    {text}\n",
            "",
            (f"{STAGES}::test_what_it_wrote_is_written_again",),
        )
        for name, text in (
            ("params", "p.extra_generation_params.update(stage.params)"),
            ("comments", "p.comments.update(stage.comments)"),
            ("fields", "vars(p).update(stage.fields)"),
        )
    ),
    Mutation(
        "not-a-number-is-kept",
        "passes/sampled.py",
        " or bool(latents.isnan().any())",
        "",
        (f"{STAGES}::test_not_a_number_is_not_kept",),
    ),
    Mutation(
        "what-was-ended-is-kept",
        "passes/sampled.py",
        "    if replaced or host.status.is_over() or not",
        "    if replaced or not",
        (f"{STAGES}::test_what_was_ended_is_not_kept",),
    ),
    Mutation(
        "a-jobs-infotext-stays-noted",
        "passes/sampled.py",
        "        vars(p).update({name: before[name] for name in _WRITTEN if name not in replaced})",
        "        pass",
        (f"{STAGES}::test_the_infotext_is_the_jobs_own_again_after_sampling",),
    ),
    Mutation(
        "what-was-written-is-lost",
        "passes/sampled.py",
        "            before[name].update(noting[name].written)",
        "            pass",
        (f"{STAGES}::test_what_it_wrote_is_written_again",),
    ),
    Mutation(
        "what-is-not-plain-is-lost",
        "passes/sampled.py",
        "    written = (*stage.params.values(), *stage.comments.values(), *also.values())",
        "    written = (*stage.params.values(), *stage.comments.values())",
        (f"{STAGES}::test_what_sampling_leaves_on_the_job_has_to_be_plain",),
    ),
    Mutation(
        "a-lower-setting-lets-go-of-nothing",
        "passes/once.py",
        "        kept.stages.shrink(",
        "        max(",
        (f"{STAGES}::test_a_lower_setting_lets_go_with_the_next_job",),
    ),
    Mutation(
        "networks-in-force-do-not-count",
        "webui/a1111/stages.py",
        '        "loaded networks": host.loras.in_force(),\n',
        "",
        (f"{STAGES}::test_networks_that_act_although_none_is_named_count",),
    ),
    Mutation(
        "what-was-not-kept-is-kept-decoded",
        "passes/once.py",
        "        if kept.stages.get(key) is not None:\n",
        "        if key:\n",
        (f"{STAGES}::test_not_a_number_is_not_kept",),
    ),
    Mutation(
        "weights-do-not-count",
        "webui/a1111/stages.py",
        "(stamp(model.sd_checkpoint_info.filename), digests.weights(model.model))",
        "stamp(model.sd_checkpoint_info.filename)",
        (f"{STAGES}::test_a_model_that_was_merged_in_memory_makes_it_anew",),
    ),
    Mutation(
        "files-of-networks-do-not-count",
        "webui/a1111/stages.py",
        "yield kind, list(params.items), stamp(_file_of(kind, name))",
        "yield kind, list(params.items), _file_of(kind, name)",
        (f"{STAGES}::test_another_file_of_a_network_makes_it_anew",),
    ),
    Mutation(
        "a-second-pass-knows-a-refiner-not",
        "plan/hires.py",
        "if made in refined else",
        "if made in refined[:0] else",
        (f"{STAGES}::test_a_refiner_in_the_second_pass",),
    ),
    Mutation(
        "the-strength-does-not-reach-the-second-pass",
        "plan/alike.py",
        "(later - HIRES_FIELDS) | HANDED_FIELDS",
        "later | HANDED_FIELDS",
        (f"{STAGES}::test_what_reaches_the_second_pass_makes_it_anew",),
    ),
    Mutation(
        "callbacks-of-others-do-not-count",
        "webui/a1111/stages.py",
        "for callback in calling}",
        "for callback in ()}",
        (f"{STAGES}::test_an_extension_that_is_called_at_each_step",),
    ),
    Mutation(
        "the-store-outlives-a-reload",
        "job/jobs.py",
        "    end_running()\n    kept.stages.clear()",
        "    end_running()",
        (f"{STAGES}::test_a_reload_of_the_page_lets_go_of_it",),
    ),
    Mutation(
        "the-store-outlives-a-release",
        "api/release.py",
        "        kept.stages.clear()\n",
        "",
        ("jobs/test_once.py::test_nothing_is_kept_after_a_release",),
    ),
    Mutation(
        "a-picture-that-was-only-resized-is-kept",
        "passes/once.py",
        " and not host.stages.is_plain(asked[0], made)",
        "",
        ("jobs/test_once.py::test_what_an_upscaler_could_not_enlarge_is_not_kept",),
    ),
    Mutation(
        "an-unknown-error-ends-the-job",
        "passes/once.py",
        '        except Exception:\n            log.exception("the %s is not kept", what)',
        '        except ZeroDivisionError:\n            log.exception("the %s is not kept", what)',
        (f"{STAGES}::test_a_job_is_made_when_it_cannot_be_told_what_it_is_made_from",),
    ),
]
