"""The copies of weights that LoRAs leave in models."""

import statistics
import time

import pytest
import torch


@pytest.fixture
def backup_bytes(host):
    from lib_multipass.webui.a1111.lora_memory import backup_bytes

    return backup_bytes


def test_what_is_held(backup_bytes):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Conv2d(2, 2, 3), torch.nn.Linear(4, 3), torch.nn.ReLU())
    assert backup_bytes(model) == 0
    model[0].network_weights_backup = torch.zeros(3, 4, dtype=torch.float16)
    model[0].network_bias_backup = torch.zeros(3, dtype=torch.float32)
    model[1].network_weights_backup = (torch.zeros(10), torch.zeros(5, dtype=torch.float64))
    model[1].network_bias_backup = None
    model[2].network_weights_backup = None
    assert backup_bytes(model) == 24 + 12 + 40 + 40
    model[0].network_weights_backup = None
    assert backup_bytes(model) == 12 + 80


def test_a_bias_that_outlived_its_layers_weights_is_forgotten(host):
    from lib_multipass.webui.a1111.lora_memory import forget_biases

    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3)))
    for layer, weights in zip(model, (None, torch.zeros(2, 2), torch.zeros(2, 2)), strict=True):
        layer.network_weights_backup, layer.network_bias_backup = weights, torch.zeros(2)
    del model[2].network_bias_backup
    forget_biases(model)
    assert model[0].network_bias_backup is None
    assert model[1].network_bias_backup is not None
    assert not hasattr(model[2], "network_bias_backup")


def test_cheap(backup_bytes):
    """As many modules as SDXL has, some 3,600."""
    model = torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(3600)))
    taken = []
    for _ in range(10):
        begin = time.process_time()
        backup_bytes(model)
        taken.append((time.process_time() - begin) * 1000)
    print(f"best {min(taken):.2f} ms, median {statistics.median(taken):.2f} ms")
    assert min(taken) < 100


class Lent:
    """Layers whose weights in RAM are lent, and copies of them on a device that the webui changes."""

    def __init__(self):
        attention = torch.nn.MultiheadAttention(8, 2)
        self.module = torch.nn.Sequential(torch.nn.Linear(4, 4), attention, torch.nn.Linear(4, 4, bias=False))
        for number, layer in enumerate(self.module):
            layer.network_layer_name = str(number)
        self.homes = {id(tensor): tensor.detach().clone() for tensor in self.module.parameters()}
        self.values = self.now()

    def now(self):
        return {name: tensor.clone() for name, tensor in self.module.state_dict().items()}

    def patch(self):
        """As the webui does: copies where there are none, then other weights and a bias where there was none."""
        linear, attention, bare = self.module
        with torch.no_grad():
            for layer, owner in ((linear, linear), (attention, attention.out_proj), (bare, bare)):
                if getattr(layer, "network_bias_backup", None) is None:
                    layer.network_bias_backup = None if owner.bias is None else owner.bias.clone()
                layer.network_current_names = (("any", 1.0, 1.0, None),)
            for tensor in list(self.module.parameters()):
                tensor.add_(1)
            bare.bias = torch.nn.Parameter(torch.ones(4))


def test_lent_weights_are_the_webuis_copies(host):
    from lib_multipass.webui.a1111 import lora_memory

    lent = Lent()
    layers = lora_memory.layers(lent.module)
    assert layers == list(lent.module)
    layers[0].network_bias_backup = torch.zeros(4)  # of a checkpoint that was in its place before, as 1.6.0 leaves it
    lora_memory.lend(layers, lent.homes)
    linear, attention, bare = lent.module
    assert linear.network_weights_backup is lent.homes[id(linear.weight)]
    assert linear.network_bias_backup is lent.homes[id(linear.bias)]
    assert attention.network_bias_backup is lent.homes[id(attention.out_proj.bias)]
    assert bare.network_bias_backup is None
    assert [id(one) for one in attention.network_weights_backup] == [
        id(lent.homes[id(weight)]) for weight in (attention.in_proj_weight, attention.out_proj.weight)
    ]
    assert lora_memory.backup_bytes(lent.module) == 0
    lora_memory.take_back(layers)
    assert [layer.network_weights_backup for layer in layers] == [None] * 3
    assert [layer.network_bias_backup for layer in layers] == [None] * 3


def test_layers_of_other_kinds_are_left_alone(host):
    """The webui names all modules, and puts networks into five kinds."""
    from lib_multipass.webui.a1111 import lora_memory

    module = torch.nn.Sequential(torch.nn.Embedding(4, 4), torch.nn.Linear(4, 4), torch.nn.ReLU())
    for layer in module:
        layer.network_layer_name = "any"
    assert lora_memory.layers(module) == [module[1]]


def test_who_has_copies_or_networks_is_lent_nothing(host):
    from lib_multipass.webui.a1111 import lora_memory

    lent = Lent()
    linear, attention, bare = lent.module
    own = linear.network_weights_backup = linear.weight.detach().clone()
    bare.network_current_names = (("any", 1.0, 1.0, None),)
    del lent.homes[id(attention.out_proj.bias)]
    lora_memory.lend(list(lent.module), lent.homes)
    assert linear.network_weights_backup is own
    assert not hasattr(attention, "network_weights_backup")
    assert not hasattr(bare, "network_weights_backup")
    lora_memory.take_back(list(lent.module))
    assert linear.network_weights_backup is own
    assert lora_memory.backup_bytes(lent.module) == 4 * 4 * 4


def test_changed_layers_keep_what_they_go_back_to(host):
    """It is the webui's own then, and counts."""
    from lib_multipass.webui.a1111 import lora_memory

    lent = Lent()
    layers = list(lent.module)
    lora_memory.lend(layers, lent.homes)
    lent.patch()
    assert lora_memory.backup_bytes(lent.module) < 4 * 4 * 4
    lora_memory.take_back(layers)
    assert all(layer.network_weights_backup is not None for layer in layers)
    assert lora_memory.backup_bytes(lent.module) > 4 * 4 * 4


@pytest.mark.parametrize("is_lent", [True, False])
def test_what_networks_have_changed_is_as_before(host, is_lent):
    """Weights that are lent are whole at home; those with copies of the webui's own are restored from them."""
    from lib_multipass.webui.a1111 import lora_memory

    lent = Lent()
    layers, (linear, attention, bare) = list(lent.module), lent.module
    if is_lent:
        lora_memory.lend(layers, lent.homes)
    else:
        linear.network_weights_backup, bare.network_weights_backup = linear.weight.clone(), bare.weight.clone()
        attention.network_weights_backup = attention.in_proj_weight.clone(), attention.out_proj.weight.clone()
    lent.patch()
    with torch.no_grad():
        whole = lora_memory.unpatch(layers, lent.homes)
    weights = [linear.weight, attention.in_proj_weight, attention.out_proj.weight, bare.weight]
    assert whole == ({id(weight) for weight in weights} if is_lent else set())
    assert lora_memory.unpatch(layers, lent.homes) == set()
    with torch.no_grad():
        for weight in weights if is_lent else ():
            weight.copy_(lent.homes[id(weight)])
        attention.in_proj_bias.sub_(1)  # which no network changes
    now = lent.now()
    assert now.keys() == lent.values.keys()
    assert all(torch.allclose(now[name], value, atol=1e-6) for name, value in lent.values.items())
    assert all(layer.network_current_names == () for layer in layers)
    assert [layer.network_weights_backup is None for layer in layers] == [not is_lent] * 3
