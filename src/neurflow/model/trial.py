"""A trial run of a module, to check that it can be explained and to find its outputs.

1. Refuse modules without gradients or accessible layers (``refuse_kinds``): TorchScript, quantised
   weights, and weights that are on the meta device, lazy, not finite, or made in inference mode.
2. Run a few noise images with gradients to the input. Find the outputs (``outputs``), and refuse a
   forward pass that detaches the gradient; the error names the layer after which it does.
3. Run the images again, and one of them alone. A network whose output is not a function of the picture
   is refused, or accepted with a note if that is allowed.
4. Apply the transform several times to one picture. A random transform is treated in the same way.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.ao.nn.quantized import FloatFunctional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from neurflow.errors import ModelError
from neurflow.model.borrowed import borrowed
from neurflow.model.failures import guarded
from neurflow.model.features import features_of, identities
from neurflow.model.outputs import Kind, Outputs, find_outputs
from neurflow.model.preprocessing import Preprocessing, Transform
from neurflow.model.returned import as_table, tensor_at, tensors_in
from neurflow.runtime.float32 import full_float32

BATCH = 3
LOW = (torch.float16, torch.bfloat16)
"""half-precision types"""
DRAWS = 12
"""number of times that a transform is applied to one picture"""
CHANCE = 1e-4
"""largest difference between two runs that counts as none, relative to the largest output"""
BESIDE = 1e-3
"""the same for batches of different sizes, for which kernels round differently"""
ROUNDING = 3e-2
"""the same for networks in half precision"""
NOT_FINITE = (
    "Some outputs were NaN or infinite for the noise that was tried. Answers and scores for pictures "
    "on which this happens are meaningless."
)
CURE = "Fix it, or accept it: --allow-chance (Model(allow_chance=True))."


@dataclass(frozen=True)
class Trial:
    """The result of a trial run.

    Attributes:
        outputs: how the outputs are read.
        chance: ways in which the output is not a function of the picture, one line each.
        low: half-precision type of some layer's parameters or outputs; None if there is none.
        notes: further notes for the user.
    """

    outputs: Outputs
    chance: tuple[str, ...] = ()
    low: torch.dtype | None = None
    notes: tuple[str, ...] = ()


def plain_module(module: nn.Module) -> nn.Module:
    """Return the module inside wrappers such as DataParallel and ``torch.compile``.

    Raises:
        ModelError: the value is not a module.
    """
    if not isinstance(module, nn.Module):
        raise ModelError(_no_module(module))
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(module, parallel):
            module = cast(nn.Module, module.module)
        elif type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod"):
            module = cast(nn.Module, module._orig_mod)
        else:
            return module


def _no_module(value: object) -> str:
    """Return the error for a value that is not a module."""
    if isinstance(value, type) and issubclass(value, nn.Module):
        return f"{value.__name__} is a class. Give a network that it makes: {value.__name__}(…)"
    if isinstance(value, str):
        return f"{value!r:.80} is a string. Load a model by its reference: neurflow.load_model(…)"
    if isinstance(value, Mapping):
        return (
            "This is a mapping, such as a state dict. Load it into a network, and give the network."
        )
    return f"A network must be an nn.Module, not a {type(value).__name__}. Wrap it in one."


def refuse_closed(module: nn.Module) -> None:
    """Raise ``ModelError`` for TorchScript, and for parameters without values."""
    if isinstance(module, torch.fx.GraphModule) and "eval" in vars(module):
        raise ModelError(
            "A program of torch.export has no eval mode. Give the nn.Module that it was exported from."
        )
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            where = f"layer {name!r}" if name else "the network"
            raise ModelError(
                f"Layers of TorchScript cannot be accessed ({where} is a {type(part).__name__}). "
                "Give the nn.Module that it was scripted or traced from."
            )
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(value):
            raise ModelError(
                f"{name} does not exist before the first forward pass. "
                "Run the network once on a batch of images."
            )
        if value.is_meta:
            raise ModelError(f"{name} is on the meta device and has no values. Load its weights.")


def refuse_kinds(module: nn.Module) -> None:
    """Raise ``ModelError`` for a module that cannot be explained, whatever its inputs are."""
    refuse_closed(module)
    if torch.is_inference_mode_enabled():
        raise ModelError(
            "Gradients are needed, but torch.inference_mode() is on. Call neurflow outside of it."
        )
    for name, part in module.named_modules():
        what, where = type(part).__name__, f"layer {name!r}" if name else "the network"
        if isinstance(part, FloatFunctional):
            continue  # a plain addition, which only quantisation would replace
        if "quantized" in type(part).__module__ or "bitsandbytes" in type(part).__module__:
            raise ModelError(_quantised(f"{where} is a {what}"))
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        _refuse_value(name, value, isinstance(value, nn.Parameter))


def _refuse_value(name: str, value: Tensor, parameter: bool) -> None:
    if parameter and value.is_complex():
        raise ModelError(f"{name} is complex. Attributions need real numbers.")
    if value.is_floating_point() and value.dtype not in (*LOW, torch.float32, torch.float64):
        kind = str(value.dtype).removeprefix("torch.")
        raise ModelError(
            f"{name} is {kind}, in which neurflow cannot compute. Convert it: module.float()"
        )
    if value.is_quantized or (parameter and not value.is_floating_point()):
        raise ModelError(_quantised(f"{name} is {value.dtype}"))
    if parameter and value.is_inference():
        raise ModelError(
            "The network was made inside torch.inference_mode(), so it has no gradients. "
            "Make it outside."
        )
    # a buffer may be infinite, for example as a bound
    if not value.isfinite().all() if parameter else value.isnan().any():
        raise ModelError(
            f"The weights are not finite: {name} has NaN or infinity. "
            "Load a checkpoint from before training diverged."
        )


def _quantised(what: str) -> str:
    return (
        f"The network is quantised ({what}), and rounding to integers has no gradient. "
        "Give the original network in floating point."
    )


@full_float32()
def run_trial(
    module: nn.Module, images: Tensor, *, said: Kind | None, classes: int | None
) -> Trial:
    """Run a module on images ``[BATCH, channel, height, width]``.

    Args:
        module: the network.
        images: different images.
        said: kind of the outputs, if the user named it.
        classes: number of class names, if known.

    Raises:
        ModelError: it fails, its outputs are ambiguous, or its gradient is detached.
    """
    with (
        borrowed(module),
        contextlib.redirect_stdout(sys.stderr),
        torch.random.fork_rng(devices=[]),
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # warnings about tensors with gradients in the forward pass
        with _precisions(module) as seen, identities(module) as same:
            images, watched, outputs, value = _run(module, images, said, classes)
        low = next((kind for kind in LOW if kind in seen), None)
        if not value.isfinite().any():
            raise ModelError(
                "The network returned only NaN or infinity for all pictures that were tried. Check its "
                "weights, its precision, and --mean and --std."
            )
        if not value.requires_grad:
            raise ModelError(_where_cut(module, watched))
        outputs = _features(module, outputs, value, same, said, classes)
        chance = _chance(module, images, outputs.place, value.detach(), low is not None)
        notes = () if value.isfinite().all() else (NOT_FINITE,)
        return Trial(outputs, tuple(chance), low, notes)


def _run(
    module: nn.Module, images: Tensor, said: Kind | None, classes: int | None
) -> tuple[Tensor, Tensor, Outputs, Tensor]:
    """Run a module on noise, or on noise in 0…1 if it fails or is not finite there.

    Some networks check that pixels are in 0…1, and some take their roots.

    Returns:
        The images, their copy with a gradient, how the outputs are read, and the outputs.
    """

    def run(images: Tensor) -> tuple[Tensor, Tensor, Outputs, Tensor]:
        watched = images.clone().requires_grad_()
        return images, watched, *find_outputs(guarded(module), watched, said, classes)

    try:
        found = run(images)
    except ModelError as failure:
        if failure.__cause__ is None:
            raise
        with _instead(failure):
            return run(images.sigmoid())
    if not found[-1].isfinite().all():
        with contextlib.suppress(ModelError):
            other = run(images.sigmoid())
            return other if other[-1].isfinite().any() else found
    return found


def _features(
    module: nn.Module,
    outputs: Outputs,
    value: Tensor,
    same: dict[int, tuple[str, Tensor]],
    said: Kind | None,
    classes: int | None,
) -> Outputs:
    """Return the same outputs, as quantities if they are features; what the user says has priority."""
    plain = not (said or outputs.before or outputs.single) and outputs.kind == "logits"
    if not plain or as_table(value).shape[1] == classes:
        return outputs
    name = outputs.place[-1] if outputs.place else None
    found = features_of(module, value, name, same)
    if found is None:
        return outputs
    kind: Kind = "values" if found.certain else "logits"
    return replace(outputs, kind=kind, features=found, doubtful=False)


@contextlib.contextmanager
def _instead(failure: ModelError) -> Iterator[None]:
    """If the module fails again, raise its earlier failure."""
    try:
        yield
    except ModelError as error:
        raise (failure if error.__cause__ else error) from error.__cause__


@contextlib.contextmanager
def _precisions(module: nn.Module) -> Iterator[set[torch.dtype]]:
    """Collect the types of parameters and of module outputs; the latter also reveal autocast."""
    seen = {value.dtype for value in module.parameters()}

    def note(_: nn.Module, __: Any, output: Any) -> None:
        seen.update(value.dtype for _, value in tensors_in(output))

    handles = [part.register_forward_hook(note) for part in module.modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _chance(
    module: nn.Module, images: Tensor, place: Any, first: Tensor, half: bool
) -> Iterator[str]:
    """Yield ways in which the output is not a function of the picture."""
    with torch.no_grad():
        with _axes(module) as in_batch:
            again = as_table(tensor_at(module(images), place)).float()
        before = as_table(first).float()
        scale = float(before.abs().max()) + 1e-12
        if (by := float((again - before).abs().max()) / scale) > (ROUNDING if half else CHANCE):
            yield (
                f"Two runs on the same pictures differ by {by:.2%}: dropout or noise is on although "
                "the network is in eval mode (F.dropout needs training=self.training)."
            )
            return
        try:
            with _axes(module) as for_one:
                single = tensor_at(module(images[:1]), place)
            _refuse_squeezed(in_batch, for_one, single)
            alone = as_table(single).float()
        except ModelError:
            raise
        except Exception:  # a batch norm without statistics cannot run on one picture of one pixel
            alone = before[:1] + scale
        if (by := float((alone - before[:1]).abs().max()) / scale) > (ROUNDING if half else BESIDE):
            yield (
                f"The output for a picture depends on the other pictures of the batch (by {by:.2%})"
                f"{_without_statistics(module)}."
            )


@contextlib.contextmanager
def _axes(module: nn.Module) -> Iterator[dict[str, int]]:
    """Collect the number of axes of the outputs of the module and its layers (the last run of each)."""
    seen: dict[str, int] = {}

    def note(name: str) -> Any:
        return lambda _, __, out: seen.update({name: out.ndim}) if isinstance(out, Tensor) else None

    handles = [part.register_forward_hook(note(name)) for name, part in module.named_modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _refuse_squeezed(in_batch: dict[str, int], for_one: dict[str, int], output: Tensor) -> None:
    """Raise ``ModelError`` if a layer's output for one picture has lost the axis of the batch.

    A single output without any axis is harmless.
    """
    lost = [name for name, axes in for_one.items() if axes < in_batch.get(name, 0)]
    if not lost or (lost == [""] and output.ndim == 0):
        return
    where = f"in the input of layer {lost[0]!r}" if lost[0] else "in the output"
    raise ModelError(
        f"With one picture, the axis of the batch is missing {where}: squeeze() in the forward pass "
        "removes it. Name the axes that it shall remove, such as squeeze(-1), or use flatten(1)."
    )


def _without_statistics(module: nn.Module) -> str:
    """Name a batch norm without running statistics, the usual reason for dependence on the batch."""
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and part.running_mean is None:
            return f": {name!r} is a {type(part).__name__} without running statistics"
    return ""


def _where_cut(module: nn.Module, images: Tensor) -> str:
    """Return an error message that names the last layer with a gradient."""
    order: list[tuple[str, bool]] = []
    handles = [
        part.register_forward_hook(
            lambda _, __, output, name=name: order.append((name, _has_gradient(output)))
        )
        for name, part in module.named_modules()
        if name
    ]
    try:
        with torch.enable_grad():
            module(images)
    finally:
        for handle in handles:
            handle.remove()
    last = next((name for name, has in reversed(order) if has), None)
    where = f"after layer {last!r}" if last else "before the first layer"
    return (
        f"The forward pass is detached {where}, so the outputs have no gradient. "
        "Remove .detach(), .data, NumPy and no_grad or inference_mode from it."
    )


def _has_gradient(output: Any) -> bool:
    values = output if isinstance(output, tuple | list) else [output]
    return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def chance_of(transform: Transform) -> str | None:
    """Return a note on the randomness of a transform; None if the transform is deterministic."""
    if isinstance(transform, Preprocessing):
        return None
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    with torch.random.fork_rng(devices=[]):
        first = transform(picture)
        if all(torch.equal(first, transform(picture)) for _ in range(DRAWS)):
            return None
    return (
        "The transform returns a different input for the same picture each time, as transforms for "
        "training do. Give the one for evaluation (resize and centre crop)."
    )
