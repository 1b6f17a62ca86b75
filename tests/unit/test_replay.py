"""Which of a job's infotext keys belong to its first pass."""

from lib_multipass.plan.replay import before_detailer_params, first_pass_params


def test_what_comes_after_the_first_pass_is_left_out():
    params = {
        "Denoising strength": 0.6,
        "Hires upscale": 2,
        "Hires prompt": len,
        "Multipass checkpoint": "b",
        "ADetailer model 2nd": "face",
        "Lora hashes": "x: 1",
        "Eta": 0.5,
        "Multipassage": 1,
    }
    assert first_pass_params(params, set()) == {"Lora hashes": "x: 1", "Eta": 0.5, "Multipassage": 1}


def test_what_an_earlier_hires_pass_added_is_left_out():
    assert first_pass_params({"Refiner": "r", "Eta": 0.5}, {"Refiner", "Refiner switch at"}) == {"Eta": 0.5}


def test_the_jobs_own_dict_stays():
    params = {"Hires steps": 3}
    assert first_pass_params(params, set()) == {}
    assert params == {"Hires steps": 3}


def test_before_adetailer_there_is_nothing_of_it():
    params = {"ADetailer model": "face", "Multipass ADetailer": "b", "Multipass ADetailer follows": False}
    kept = {"Multipass checkpoint": "b", "Hires checkpoint": "b"}
    assert before_detailer_params({**params, **kept}) == kept
    assert len(params) == 3
