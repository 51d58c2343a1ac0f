"""Match the names of a state dict with those of a network, where wrappers have changed them.

A *rule* replaces the beginning of a name: ``('module.net.', '')`` removes a prefix, ``('', 'net.')``
adds one. Rules are found as follows:

1. Two names match if their shapes are equal and they have the same ending, which is all of one name or
   at least two of its parts. What stands before the ending is a vote for one rule.
2. The rule with the most votes is used, then the next one for the names that are still missing, and
   so on. Rules after the first only remove or add a prefix (``module.backbone.`` and ``module.fc.``).
3. If only the last layer is missing and only one other layer is left, of the same shapes, then this is
   the last layer by another name.
4. If another rule fits the same names as well, with other values, the names are ambiguous. Names that
   need no change have priority, and then weights that were averaged over training.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Rule = tuple[str, str]
AVERAGES = frozenset(("ema", "swa", "averaged", "average", "avg"))
"""words in names that weights averaged over training have"""
COUNTER = "num_batches_tracked"
"""buffer of batch norms; often missing in published files, and without effect in eval mode"""
MAX_RULES = 4


@dataclass
class Rewriting:
    """Names of a network and their names in a state dict.

    Attributes:
        names: name in the network → name in the state dict.
        rules: the rules by which they differ, in the order in which they were found.
        rivals: two names in the state dict that fit one name of the network, if they differ in value;
            empty if nothing is ambiguous.
    """

    names: dict[str, str] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    rivals: tuple[str, ...] = ()

    def note(self) -> str:
        """Return what was changed, in words; empty if nothing was."""
        changes = [rule for rule in self.rules if rule[0] != rule[1]]
        if not changes:
            return ""
        if not any(on for _, on in changes):
            removed = " and ".join(repr(off) for off, _ in changes)
            return f"the prefix{'es' * (len(changes) > 1)} {removed} {_was(changes)} removed from names"
        if not any(off for off, _ in changes):
            added = " and ".join(repr(on) for _, on in changes)
            where = "all names" if len(changes) == len(self.rules) == 1 else "names"
            return f"the prefix{'es' * (len(changes) > 1)} {added} {_was(changes)} added to {where}"
        return f"names were changed: {', '.join(f'{off!r} to {on!r}' for off, on in changes)}"


def rewriting(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Rewriting:
    """Find the names of a network in a state dict."""
    found = Rewriting()
    votes = _votes(state, wanted)
    for _ in range(MAX_RULES):
        if not _next_rule(found, votes, state):
            break
    _last_layer(found, state, wanted)
    return found


def is_average(name: str) -> bool:
    """Return whether a name says that weights are averaged over training."""
    return not AVERAGES.isdisjoint(re.split(r"[^a-z]+", name.casefold()))


def _was(changes: list[Rule]) -> str:
    return "were" if len(changes) > 1 else "was"


def _votes(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[Rule, dict[str, str]]:
    """Return rule → names of the network that it fits, with those in the state dict."""
    alike: defaultdict[tuple[str, torch.Size], list[tuple[str, ...]]] = defaultdict(list)
    for name, value in wanted.items():
        parts = tuple(name.split("."))
        alike[parts[-1], value.shape].append(parts)
    votes: defaultdict[Rule, dict[str, str]] = defaultdict(dict)
    for name, value in state.items():
        parts = tuple(name.split("."))
        for other in alike[parts[-1], value.shape]:
            same = _same_ending(parts, other)
            if same >= 2 or same in (len(parts), len(other)):
                off, on = (".".join((*p[: len(p) - same], "")) for p in (parts, other))
                votes[off, on][".".join(other)] = name
    return votes


def _same_ending(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return the number of parts at the end of two names that are equal."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def _next_rule(
    found: Rewriting, votes: Mapping[Rule, dict[str, str]], state: Mapping[str, Tensor]
) -> bool:
    """Add the rule that fits most of the names that are missing; return whether there was one."""
    used = set(found.names.values())
    fits = {
        rule: {w: n for w, n in pairs.items() if w not in found.names and n not in used}
        for rule, pairs in votes.items()
        if not found.rules or "" in rule
    }
    most = max((_weights(pairs) for pairs in fits.values()), default=0)
    if not most:
        return False
    best = [rule for rule, pairs in fits.items() if _weights(pairs) == most]
    best.sort(key=lambda rule: (rule[0] != rule[1], len(rule[0] + rule[1])))
    averaged = [rule for rule in best if is_average(rule[0])]
    first = best[0]
    if first[0] != first[1] and averaged:
        first = averaged[0]
    if first[0] != first[1] and not found.rivals:
        others = averaged if is_average(first[0]) else best
        found.rivals = _rivals(fits[first], (fits[rule] for rule in others), state)
        # a rule that also fits names found before belongs to another copy of the network
        found.rivals = found.rivals or _rivals(found.names, [votes[first]], state)
    found.names.update(fits[first])
    found.rules.append(first)
    return True


def _weights(names: Iterable[str]) -> int:
    return sum(not name.endswith(COUNTER) for name in names)


def _rivals(
    fit: Mapping[str, str], others: Iterable[Mapping[str, str]], state: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """Return two names with different values for the same name of the network; empty if none."""
    for other in others:
        for name in (name for name in fit if name in other):
            one, two = fit[name], other[name]
            if one != two and not name.endswith(COUNTER) and not _equal(state[one], state[two]):
                return one, two
    return ()


def _equal(one: Tensor, other: Tensor) -> bool:
    try:
        return bool(torch.equal(one, other))
    except RuntimeError:  # sparse, quantised or without values
        return False


def _last_layer(
    found: Rewriting, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> None:
    """Match the last layer with the only other one that is left in the state dict."""
    missing = [name for name in wanted if name not in found.names and not name.endswith(COUNTER)]
    used = set(found.names.values())
    left = [name for name in state if name not in used and not name.endswith(COUNTER)]
    (layer, *more), (other, *others) = _layers(missing) or [""], _layers(left) or [""]
    if not (found.rules and layer and other) or more or others or len(missing) != len(left):
        return
    if {*list(wanted)[-len(missing) :]} != {*missing} or _numbers_of_one_list(layer, other):
        return
    pairs = {name: other + name.removeprefix(layer) for name in missing}
    if all(name in state and state[name].shape == wanted[w].shape for w, name in pairs.items()):
        found.names.update(pairs)
        found.rules.append((other, layer))


def _layers(names: Iterable[str]) -> list[str]:
    """Return the layers that parameters belong to, each with its dot."""
    return list(dict.fromkeys(name[: name.rfind(".") + 1] for name in names))


def _numbers_of_one_list(one: str, other: str) -> bool:
    """Return whether two layers have numbers in the same list, which may be counted differently."""
    (stem, _, a), (stem_of_other, _, b) = (layer[:-1].rpartition(".") for layer in (one, other))
    return stem == stem_of_other and a.isdigit() and b.isdigit()
