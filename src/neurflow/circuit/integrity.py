"""Rules for the content of a circuit, beyond the types of its fields.

Circuits from discovery follow these rules, but a file may come from anyone. After ``check``, readers
need no checks of their own: every name, index and crop that one part of a circuit refers to exists in
another part.

1. The names of layers, neurons and groups are unique; the last layer contains the target.
2. Each crop lies in an image of the circuit.
3. The semantic groups of a neuron partition its crops.
4. All concept vectors of a layer have the same length: the number of neurons of the layer below (at
   l_0, of l_0 itself). Neurons that weights refer to are below that number and in the circuit.
5. The absolute weights of a (neuron, semantic group) pair sum to 1, unless it has no weights.
   Attributions, if kept, cover each of its crops and core neurons.
6. Each (neuron, semantic group) is a member of exactly one group of its layer.
7. An edge joins groups of adjacent layers, no two edges join the same pair, the positive and negative
   part of an edge sum to its weight, and the ends of its interval are in order.
8. Pictures show images of the circuit; heat maps belong to its groups and to images with a picture.
9. A layer's tree joins all its pairs, and a group with the number of a branch equals that branch.
10. A group's calibration covers each of its neurons, its crops and the images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator
from math import isclose

from neurflow.circuit.trees import branches
from neurflow.circuit.types import CircuitData, CircuitLayer, Neuron, NeuronGroup
from neurflow.errors import ResultError
from neurflow.refs import Crop, GroupId

WEIGHT_TOLERANCE = 1e-4
"""largest deviation of the sum of absolute weights from 1"""


def check(circuit: CircuitData) -> None:
    """Raise ``ResultError`` for the first rule that the circuit breaks."""
    for problem in _problems(circuit):
        raise ResultError(f"The circuit is inconsistent: {problem}.")


def _problems(circuit: CircuitData) -> Iterator[str]:
    """Yield every broken rule, within each layer in the order of the list above."""
    layers = circuit.layers
    if not layers:
        yield "it has no layers"
        return
    yield from _twice("layer", (layer.name for layer in layers))
    yield from _twice("group", (group.id for layer in layers for group in layer.groups))
    top = layers[-1]
    if circuit.target.layer != top.name or circuit.target.neuron not in top.neurons:
        yield f"target {circuit.target.name!r} is not a neuron of the last layer, {top.name!r}"
    below: CircuitLayer | None = None
    for layer in layers:
        for a, neuron in layer.neurons.items():
            where = f"neuron {layer.name}/{a}"
            if neuron.index != a:
                yield f"{where} has the index {neuron.index}"
            yield from _neuron(neuron, where, below.neurons if below else ())
            yield from _crops(neuron.crops, where, len(circuit.images))
        yield from _widths(layer, below)
        yield from _groups(layer, len(circuit.images))
        yield from _tree(layer)
        below = layer
    yield from _edges(circuit)
    yield from _crops(circuit.thumbnails, "a thumbnail", len(circuit.images))
    yield from _surroundings(circuit)


def _neuron(neuron: Neuron, where: str, below: Collection[int]) -> Iterator[str]:
    if not neuron.crops or len(neuron.activations) != len(neuron.crops):
        yield f"{where} has {len(neuron.crops)} crops and {len(neuron.activations)} activations"
    parted = Counter(position for part in neuron.semantic_groups for position in part.crops)
    if parted != Counter(range(len(neuron.crops))):
        yield f"the semantic groups of {where} do not partition its crops"
    lost = [s for s in neuron.importance if s not in below]
    for number, part in enumerate(neuron.semantic_groups):
        if not part.crops:
            yield f"semantic group {number} of {where} is empty"
        lost += [s for s in part.weights if s not in below]
        total = sum(map(abs, part.weights.values()))
        if part.weights and abs(total - 1) > WEIGHT_TOLERANCE:
            yield f"the absolute weights of {where} sum to {total:.6g}, not to 1"
        if (kept := part.attributions) is not None and kept.size != len(part.crops) * len(
            part.weights
        ):
            yield f"the attributions of {where} do not match its crops and core neurons"
        for s, shares in part.shares.items():
            if s not in part.weights or min(shares, default=-1) < 0 or abs(sum(shares) - 1) > 1e-4:
                yield f"the shares of the meanings of neuron {s} in {where} are not shares"
    if lost:
        yield f"{where} has a weight for neuron {lost[0]}, which the layer below does not have"


def _crops(crops: Iterable[Crop], where: str, images: int) -> Iterator[str]:
    for image, (left, top, right, bottom) in crops:
        if image >= images:
            yield f"{where} shows image {image} of {images}"
        if left >= right or top >= bottom:
            yield f"{where} shows an empty crop"


def _surroundings(circuit: CircuitData) -> Iterator[str]:
    """Yield pictures and heat maps that belong to nothing in the circuit."""
    groups = {group.id for layer in circuit.layers for group in layer.groups}
    for image in circuit.pictures:
        if image >= len(circuit.images):
            yield f"a picture shows image {image} of {len(circuit.images)}"
    for group, image in circuit.heat:
        if group not in groups:
            yield f"a heat map belongs to group {group!r:.40}, which does not exist"
        if image not in circuit.pictures:
            yield f"a heat map belongs to image {image}, which has no picture"


def _widths(layer: CircuitLayer, below: CircuitLayer | None) -> Iterator[str]:
    """Yield problems with the length of concept vectors (rule 4)."""
    widths = {
        len(part.concept_vector)
        for neuron in layer.neurons.values()
        for part in neuron.semantic_groups
    }
    if len(widths) > 1:
        yield f"concept vectors of layer {layer.name!r} have lengths {sorted(widths)}"
    previous = below or layer
    for width in widths:
        if any(a >= width for a in previous.neurons):
            yield f"layer {previous.name!r} has more neurons than the {width} of concept vectors"


def _groups(layer: CircuitLayer, images: int) -> Iterator[str]:
    pairs = {(a, i) for a, n in layer.neurons.items() for i in range(len(n.semantic_groups))}
    grouped = Counter(tuple(member) for group in layer.groups for member in group.members)
    for (a, i), count in grouped.items():
        if (a, i) not in pairs:
            yield f"layer {layer.name!r} groups semantic group {i} of neuron {a}, which does not exist"
        elif count > 1:
            yield f"semantic group {i} of neuron {layer.name}/{a} is in {count} groups"
    if left := pairs - grouped.keys():
        a, i = min(left)
        yield f"semantic group {i} of neuron {layer.name}/{a} is in no group"
    for group in layer.groups:
        yield from _group(group, layer.name, images)


def _tree(layer: CircuitLayer) -> Iterator[str]:
    tree = layer.tree
    if tree is None:
        return
    pairs = {(a, i) for a, n in layer.neurons.items() for i in range(len(n.semantic_groups))}
    count = len(tree.members)
    if set(tree.members) != pairs or count != len(pairs):
        yield f"the tree of layer {layer.name!r} does not have the layer's pairs as leaves"
        return
    free = set(range(count))
    for i, (a, b) in enumerate(tree.merges):
        if a == b or not {a, b} <= free:
            yield f"the tree of layer {layer.name!r} joins a branch that does not exist"
            return
        free = free - {a, b} | {count + i}
    sizes = {len(tree.numbers), len(tree.returns)}
    if len(tree.merges) != count - 1 or len(tree.heights) != count - 1 or sizes != {2 * count - 1}:
        yield f"the tree of layer {layer.name!r} lacks the figures of some branches"
    elif sorted(tree.numbers) != list(range(2 * count - 1)):
        yield f"branches of layer {layer.name!r} share a number"
    else:
        owns = branches(tree.merges)
        branch_of = {GroupId(layer.name, number): owns[b] for b, number in enumerate(tree.numbers)}
        for group in layer.groups:
            own = branch_of.get(group.id)
            if own is not None and {tree.members[p] for p in own.nonzero()[0]} != {*group.members}:
                yield f"group {group.id!r} differs from the branch of that number"


def _group(group: NeuronGroup, layer: str, images: int) -> Iterator[str]:
    if group.id.layer != layer:
        yield f"group {group.id!r} is in layer {layer!r}"
    if not group.members:
        yield f"group {group.id!r} is empty"
    yield from _crops(group.crops, f"group {group.id!r}", images)
    if calibration := group.calibration:
        sizes = len(calibration.means), len(calibration.crop_scores), len(calibration.image_scores)
        if sizes != (len(group.neurons), len(group.crops), images):
            yield f"the calibration of group {group.id!r} does not cover all neurons, crops and images"


def _edges(circuit: CircuitData) -> Iterator[str]:
    level = {group.id: i for i, layer in enumerate(circuit.layers) for group in layer.groups}
    yield from _twice("edge", ((edge.lower, edge.upper) for edge in circuit.edges))
    for edge in circuit.edges:
        unknown = [id for id in (edge.upper, edge.lower) if id not in level]
        if unknown:
            yield f"an edge names group {unknown[0]!r}, which does not exist"
        elif level[edge.upper] != level[edge.lower] + 1:
            yield f"the edge from {edge.lower!r} to {edge.upper!r} does not join adjacent layers"
        parts = [part for part in (edge.positive, edge.negative) if part is not None]
        if parts and not (len(parts) == 2 and isclose(sum(parts), edge.weight, abs_tol=1e-9)):
            yield f"the parts of edge {edge.lower!r} to {edge.upper!r} do not sum to its weight"
        spread = [end for end in (edge.low, edge.high) if end is not None]
        if spread and not (len(spread) == 2 and spread[0] <= spread[1]):
            yield f"the interval of edge {edge.lower!r} to {edge.upper!r} is not an interval"


def _twice(kind: str, names: Iterable[Hashable]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{kind} {name!r} occurs {count} times"
