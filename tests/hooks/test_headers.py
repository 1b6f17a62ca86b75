"""Headers as the library writes them."""

import pytest

from lib_multipass.memory.headers import SD1, TEXT, read_facts
from support.stored import SD1_TEXT, stored_bytes, unet


def test_files_of_the_library(tmp_path):
    """What ``safetensors`` itself writes."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensors = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in unet(768).items()}
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.zeros(1, 77, dtype=torch.int64)
    tensors[SD1_TEXT] = torch.zeros(2, 3, dtype=torch.float8_e4m3fn)
    save_file(tensors, tmp_path / "real.safetensors", metadata={"format": "pt"})
    facts = read_facts(tmp_path / "real.safetensors")
    assert (facts.architecture, facts.problem) == (SD1, None)
    assert facts.parameters[TEXT] == {"I64": 77, "F8_E4M3": 6}
    assert sum(stored_bytes(facts, part) for part in facts.parameters) == sum(t.nbytes for t in tensors.values())
