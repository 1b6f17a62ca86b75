"""Mutations of *Fast swaps*: what comes home, what is given back, and who moves as ever."""

from __future__ import annotations

from tools.mutation import Mutation

HOMES, MOVERS, PINS, NETWORKS = "test_homes.py", "hooks/test_fast_swaps.py", "test_pins.py", "hooks/test_lora_memory.py"
HOME, FAST, LOCKS, COPIES = (f"webui/a1111/{name}.py" for name in ("homes", "fast_swaps", "pins", "lora_memory"))

FAST_SWAPS = [
    Mutation(
        "what-was-written-stays-there", HOME, "    member.home.copy_(member.tensor)\n    return", "    return", (HOMES,)
    ),
    Mutation(
        "strangers-go-along",
        HOME,
        "[member for member in chunk.members if member.is_home()]",
        "list(chunk.members)",
        (HOMES,),
    ),
    Mutation(
        "another-kind-comes-home",
        HOME,
        "    if _kind(member.tensor) != _kind(member.home):\n        return False\n",
        "",
        (HOMES,),
    ),
    Mutation("a-chunk-of-two-children", HOME, "return child == self.child and self.size", "return self.size", (HOMES,)),
    Mutation(
        "pages-stay-locked",
        HOME,
        "            self._unlock(chunk)\n        self.chunks, self.layers",
        "            pass\n        self.chunks, self.layers",
        (MOVERS,),
    ),
    Mutation(
        "lent-weights-stay-lent",
        HOME,
        "        self.is_away = False\n        lora_memory.take_back(self.layers)\n",
        "        self.is_away = False\n",
        ("test_homes.py",),
    ),
    Mutation(
        "nothing-is-lent",
        HOME,
        "        lora_memory.lend(self.layers, self.homes())\n",
        "",
        (HOMES,),
    ),
    Mutation(
        "networks-stay-in-at-home",
        HOME,
        "            lora_memory.unpatch(self.layers, {})  # put in",
        "            pass  # put in",
        (HOMES,),
    ),
    Mutation(
        "inference-tensors",
        HOME,
        "with torch.inference_mode(False), torch.no_grad():",
        "with torch.no_grad():",
        (HOMES,),
    ),
    Mutation("the-move-stays-replaced", FAST, "            del moved.to\n", "            pass\n", (MOVERS,)),
    Mutation(
        "theirs-is-lost",
        FAST,
        "            if earlier is not None:\n                moved.to = earlier\n",
        "",
        (MOVERS,),
    ),
    Mutation(
        "parts-of-what-is-gone", FAST, '        if device.type == "meta":\n            self.leave()\n', "", (MOVERS,)
    ),
    Mutation(
        "a-whole-that-is-gone",
        FAST,
        '    if device.type == "meta":\n        home.leave()\n    elif _is',
        "    if _is",
        (MOVERS,),
    ),
    Mutation(
        "a-mover-is-not-forgotten",
        FAST,
        "        if self in kept.movers:\n            kept.movers.remove(self)\n",
        "",
        (MOVERS,),
    ),
    Mutation(
        "no-room-for-it-fails-the-job",
        FAST,
        "    except (RuntimeError, MemoryError) as error:",
        "    except KeyError as error:",
        (MOVERS,),
    ),
    Mutation("others-move-fast-too", FAST, " if places.get(model.sd_checkpoint_info.filename) == RAM", "", (MOVERS,)),
    Mutation(
        "a-plain-job-keeps-them",
        "webui/a1111/models.py",
        "        kept.decision = None\n        fast_swaps.leave()\n",
        "        kept.decision = None\n",
        (MOVERS,),
    ),
    Mutation("who-is-emptied-keeps-them", "webui/a1111/models.py", "    fast_swaps.forget(model)\n", "", (MOVERS,)),
    Mutation("only-the-next-job-follows", "webui/a1111/swaps.py", "        fast_swaps.follow()\n", "", (MOVERS,)),
    Mutation("reload-ui-keeps-them", "webui/a1111/slots.py", "    fast_swaps.leave()\n", "", (MOVERS,)),
    Mutation("a-refusal-is-forgotten", LOCKS, "            self.is_refused = True\n", "", (PINS,)),
    Mutation(
        "the-error-stays",
        LOCKS,
        "            self.is_refused = True\n            _clear_error(self._device)\n",
        "            self.is_refused = True\n",
        (PINS,),
    ),
    Mutation(
        "unlocked-while-it-is-copied",
        HOME,
        "        wait([] if chunk.copy is None else [chunk.copy])\n",
        "",
        (HOMES,),
    ),
    Mutation("no-limit", LOCKS, " or self.used + pages.numel() > allowance(self.used)", "", (PINS,)),
    Mutation(
        "names-stay",
        COPIES,
        "        layer.network_current_names = ()\n    return whole",
        "    return whole",
        (NETWORKS,),
    ),
    Mutation("biases-stay", COPIES, "        _restore_bias(layer)\n", "", (NETWORKS,)),
    Mutation("a-bias-is-not-lent", COPIES, "            setattr(layer, _COPIES[1], with_it)\n", "", (NETWORKS,)),
    Mutation(
        "a-bias-stays-stale",
        COPIES,
        " and _copies(layer) is None\n",
        " and not any(hasattr(layer, name) for name in _COPIES)\n",
        (NETWORKS,),
    ),
    Mutation("all-kinds-of-layers", COPIES, " if isinstance(module, _CHANGED)]", "]", (NETWORKS,)),
    Mutation(
        "who-has-left-settles", HOME, "        self._module = None\n        for chunk", "        for chunk", (HOMES,)
    ),
    Mutation(
        "half-a-move-home-is-the-last",
        HOME,
        "wait(chunk.copy for chunk in self.chunks if chunk.copy is not None)\n        with",
        "wait(chunk.copy for chunk in self.chunks)\n        with",
        (HOMES,),
    ),
    Mutation("lent-counts-as-copied", COPIES, " if not hasattr(tensor, _LENT))", ")", (NETWORKS,)),
    Mutation(
        "what-is-at-home-is-not-free",
        "memory/room.py",
        "        in_ram += sum(model.at_home for model in everything)\n",
        "",
        ("test_placement.py",),
    ),
]
