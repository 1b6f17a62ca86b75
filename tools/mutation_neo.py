"""Mutations of what keeps models of Forge Neo right: each test runs over the stand-in for it."""

from __future__ import annotations

from tools.mutation import NEO, Mutation

ENGINES, MODELS, SWAPS, TRACES, SLOTS = (
    f"webui/forge/{name}.py" for name in ("engines", "models", "swaps", "traces", "slots")
)

OF_NEO = [
    Mutation(
        "neo-held-after-a-failure",
        MODELS,
        "        _activate(first)\n    finally:\n        kept.decision = None\n        _drop_all_but(())",
        "        _activate(first)\n        kept.decision = None\n        _drop_all_but(())\n    finally:\n        pass",
        (f"{NEO}::test_what_cannot_be_let_go_of_is_not_held_either",),
    ),
    Mutation(
        "neo-parameters-stay",
        MODELS,
        "    finally:\n        data.forge_loading_parameters = told",
        "    finally:\n        pass",
        (f"{NEO}::test_letting_go_keeps_what_is_needed_next",),
    ),
    Mutation(
        "neo-hash-of-the-second-stays",
        SWAPS,
        "            data.pop(key, None)\n            data.update(stored)",
        "            pass",
        (f"{NEO}::test_in_a_job_the_stored_hash_stays_the_first_passs",),
    ),
    Mutation(
        "neo-loading-draws-by-lot",
        SWAPS,
        "_hash_kept(), host.hardware.noise_kept():",
        "_hash_kept():",
        (f"{NEO}::test_making_a_model_draws_no_random_numbers_of_a_job",),
    ),
    Mutation(
        "neo-moves-models-for-nothing",
        SWAPS,
        "        processing.need_global_unload = False",
        "        pass",
        (f"{NEO}::test_in_a_job_models_are_not_moved_away_for_nothing",),
    ),
    Mutation(
        "neo-modules-of-a-swap-stay",
        SWAPS,
        "    finally:\n        data.forge_loading_parameters = told",
        "    finally:\n        pass",
        (f"{NEO}::test_a_vae_module_of_another_latent_space_is_left_out_of_a_jobs_models",),
    ),
    Mutation(
        "neo-a-module-of-another-latent-space",
        SWAPS,
        "parameters = pass_vae.fitting(told)",
        "parameters = told",
        (f"{NEO}::test_a_vae_module_of_another_latent_space_is_left_out_of_a_jobs_models",),
    ),
    Mutation(
        "neo-no-room-is-made",
        SWAPS,
        "        models.drop_without_place(active_too=True)",
        "        pass",
        (f"{NEO}::test_what_has_no_place_is_loaded_every_time", f"{NEO}::test_without_a_decision_one_model_stays"),
    ),
    Mutation(
        "neo-parked-stays-after-its-turn",
        SWAPS,
        "            engines.activate(known)\n            models.drop_without_place()",
        "            engines.activate(known)",
        (f"{NEO}::test_one_without_a_place_goes_when_a_kept_one_is_active_again",),
    ),
    Mutation(
        "neo-sigmas-stay",
        ENGINES,
        "        setattr(predictor, name, tensor.to(getattr(predictor, name).device, copy=True))",
        "        pass",
        (f"{NEO}::test_the_noise_schedule",),
    ),
    Mutation(
        "neo-tiling-stays",
        ENGINES,
        "    tile(model)\n\n\ndef",
        "\n\ndef",
        (f"{NEO}::test_tiling",),
    ),
    Mutation(
        "neo-a-loaded-one-does-not-tile",
        SWAPS,
        "        engines.tile(model)\n",
        "",
        (f"{NEO}::test_tiling_of_a_job_reaches_all_its_models",),
    ),
    Mutation(
        "neo-texts-stay",
        ENGINES,
        "    model.extra_generation_params, model.comments = {}, []",
        "    pass",
        (f"{NEO}::test_texts_of_a_job",),
    ),
    Mutation(
        "neo-flags-of-the-other",
        ENGINES,
        "        setattr(dynamic_args, name, value)",
        "        pass",
        (f"{NEO}::test_so_does_what_the_webui_reads_of_the_active_one",),
    ),
    Mutation(
        "neo-replaced-files-stay",
        ENGINES,
        "    drop([*replaced, ",
        "    drop([",
        (f"{NEO}::test_a_file_that_changed_is_loaded_anew",),
    ),
    Mutation(
        "neo-any-number-of-a-file",
        ENGINES,
        "if engine not in replaced][_MOST_OF_A_FILE:]",
        "if engine not in replaced][99:]",
        (f"{NEO}::test_another_module_makes_another_model_and_two_of_a_file_are_kept",),
    ),
    Mutation(
        "neo-unload-keeps-the-parked",
        MODELS,
        "        engines.drop(list(kept.engines))\n        kept.decision = None\n        return original",
        "        return original",
        (f"{NEO}::test_unloading_by_the_user_unloads_all",),
    ),
    Mutation(
        "neo-disabled-and-still-there",
        SLOTS,
        "        engines.drop(list(kept.engines))\n",
        "",
        (f"{NEO}::test_a_disabled_extension_lets_go_of_all",),
    ),
    Mutation(
        "neo-one-key-for-both-passes",
        TRACES,
        "        return *key, sd_models.model_data.forge_hash, ",
        "        return *key, ",
        (f"{NEO}::test_encoded_prompts_are_told_apart_by_the_active_model",),
    ),
    Mutation(
        "neo-vae-onto-whichever-is-active",
        TRACES,
        "        return original(owner())",
        "        return original(*args, **kwargs)",
        (f"{NEO}::test_a_vae_goes_back_onto_the_model_that_it_was_taken_from",),
    ),
    Mutation(
        "neo-a-foreign-vae-is-kept",
        TRACES,
        "                    engines.forget(model)",
        "                    pass",
        (f"{NEO}::test_a_model_that_a_job_without_us_gave_anothers_vae_is_not_kept",),
    ),
    Mutation(
        "neo-references-stay",
        ENGINES,
        "remains.forget_references(others if _begins(engine.file) else [model])",
        "remains.forget_references([])",
        (f"{NEO}::test_references_of_an_earlier_job_do_not_act_in_a_second_pass",),
    ),
    Mutation(
        "neo-networks-stay",
        ENGINES,
        "    forge_models.forget_disabled_networks(model)",
        "    pass",
        (f"{NEO}::test_networks_of_an_earlier_job_do_not_act_where_they_are_disabled",),
    ),
    Mutation(
        "neo-embeddings-are-not-read-again",
        ENGINES,
        "        remains.read_embeddings(model)",
        "        pass",
        (f"{NEO}::test_embeddings_that_were_added_are_read_when_a_model_is_active_again",),
    ),
    Mutation(
        "neo-stays-with-other-modules",
        MODELS,
        "        return 2\n    own",
        "        return 2\n    return 2\n    own",
        (f"{NEO}::test_a_model_with_modules_that_no_pass_has_makes_room_first",),
    ),
]
