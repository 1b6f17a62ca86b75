"""No extra networks here: activating them only tells the scripts."""

import re


def activate(p, extra_network_data):
    if p.scripts is not None:
        p.scripts.after_extra_networks_activate(
            p,
            batch_number=p.iteration,
            prompts=p.prompts,
            seeds=p.seeds,
            subseeds=p.subseeds,
            extra_network_data=extra_network_data,
        )


def deactivate(p, extra_network_data): ...


def parse_prompts(prompts):
    """Takes <name:arguments> out of the prompts."""
    return [re.sub(r"<\w+:[^>]+>", "", prompt) for prompt in prompts], {}
