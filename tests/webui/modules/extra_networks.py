"""No extra networks here: activating them only tells the scripts."""

import re


def activate(p, extra_network_data):
    told = {name: getattr(p, name) for name in ("prompts", "seeds", "subseeds")}
    told.update(batch_number=p.iteration, extra_network_data=extra_network_data)
    if p.scripts:
        p.scripts.after_extra_networks_activate(p, **told)


def deactivate(p, extra_network_data): ...


def parse_prompts(prompts):
    """Takes <name:arguments> out of the prompts."""
    return [re.sub(r"<\w+:[^>]+>", "", prompt) for prompt in prompts], {}
