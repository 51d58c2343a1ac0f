"""``Model``: a classifier with named layers, their outputs, and the segments between them."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from neurflow.errors import LayerError, ModelError, near
from neurflow.model.borrowed import borrowed
from neurflow.model.cut.exported import ExportedNetwork, why_not
from neurflow.model.cut.hooked import HookedNetwork
from neurflow.model.input_form import InputForm, drawn_input, find_input_form
from neurflow.model.naming import ClassNames
from neurflow.model.network.layers import Layer, LayerInfo
from neurflow.model.network.protocols import Key, Network, Observer, Segment
from neurflow.model.outputs import Outputs, kind_of
from neurflow.model.preprocessing import Preprocessing, Transform, picture_of
from neurflow.model.targets import target_of
from neurflow.model.trial import BATCH as TRIED
from neurflow.model.trial import CURE as CHANCE_CURE
from neurflow.model.trial import Trial, chance_of, plain_module, refuse_kinds, run_trial
from neurflow.refs import LoadOptions, ModelInfo, Target
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import BATCH, IMAGES, Batch, Budget

ANSWERS = 16
"""number of outputs by which a run recognises its model"""


class Model:
    """A trained classifier with its preprocessing and class names.

    Args:
        module: maps images ``[batch, channel, height, width]`` to outputs ``[batch, class]``, or to a
            structure that contains them. It is run in eval mode, and its state is restored.
        transform: maps a PIL picture to the input ``[channel, height, width]``; default is
            ImageNet's preprocessing.
        picture_mode: Pillow's mode of the pictures that the transform takes, such as ``I;16``;
            default is RGB, or the first mode that suits the transform and the network.
        class_names: in the order of the outputs; default is the class numbers. For a network with one
            output: the class below 0 and the class above, or only the latter.
        layers: names of the layers studied by default, input side first, the outputs last; default is a
            proposal by the structure of the network.
        channel_axes: layer → axis of its channels, counted with the batch as axis 0, to correct a
            wrong guess. All other axes except the batch are spatial and are pooled over.
        output: kind of the outputs, in case it is not detected: ``logits``, ``probabilities``,
            ``sigmoid`` (several labels), ``log-probabilities``, or ``values`` (quantities, no classes).
        allow_chance: accept a network whose output is not a function of the picture alone.
        reference, weights, options: how ``load_model`` loads it again; stored in results.
        notes: notes for the user on how it was loaded.

    Raises:
        ModelError: the weights are not finite, or the module cannot be explained.

    Example::

        model = neurflow.Model(network, class_names=["cat", "dog"])
        model.proposed_layers()          # the layers that discovery studies by default
        circuit = neurflow.discover(model, "pictures/dog", "dog")
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        transform: Transform | None = None,
        picture_mode: str | None = None,
        class_names: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        channel_axes: Mapping[str, int] | None = None,
        output: str | None = None,
        allow_chance: bool = False,
        reference: str | None = None,
        weights: str | None = None,
        options: dict[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.module = plain_module(module)
        refuse_kinds(self.module)
        self.transform = transform or Preprocessing()
        self._picture_mode = picture_mode
        self._class_names = tuple(class_names) if class_names else None
        self._layers = tuple(layers) if layers else None
        self._channel_axes = dict(channel_axes or {})
        self._output, self._allow_chance = kind_of(output), allow_chance
        self._reference = reference or type(self.module).__name__
        self._weights, self._options = weights, options or {}
        self._notes = tuple(notes)

    @cached_property
    def input_form(self) -> InputForm:
        """The form in which the transform takes pictures, and the shape of its output."""
        return find_input_form(self.transform, self.module, self._picture_mode)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width of the transform's output, which is the network's input."""
        return self.input_form.shape

    @cached_property
    def _trial(self) -> Trial:
        """The result of the trial run; ``ModelError`` if the network is random without permission."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((TRIED, *self.input_size), generator=generator)
        classes = len(self._class_names) if self._class_names else None
        found = run_trial(self.module, self.feed(noise), said=self._output, classes=classes)
        if found.chance and not self._allow_chance:
            raise ModelError(f"{' '.join(found.chance)} {CHANCE_CURE}")
        return found

    @cached_property
    def _drawn(self) -> str | None:
        """A note on the transform's randomness, if any; ``ModelError`` if this is not allowed."""
        found = chance_of(self.transform)
        if found and not self._allow_chance:
            raise ModelError(f"{found} {CHANCE_CURE}")
        return found

    @property
    def output_spec(self) -> Outputs:
        """The kind of the outputs, and their conversion to probabilities."""
        return self._trial.outputs

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Convert outputs ``[…, class]`` to probabilities."""
        return self._trial.outputs.probabilities(outputs)

    @cached_property
    def network(self) -> Network:
        """The network that can be observed and cut: exported if possible, otherwise by hooks."""
        _, trial = self._drawn, self._trial
        reader = trial.outputs.reader(self.module)
        example = self.feed(torch.zeros(2, *self.input_size))
        with borrowed(self.module), contextlib.redirect_stdout(sys.stderr):
            if trial.chance:
                why = "its output is not a function of the picture."
                return HookedNetwork(reader, example, why, self._channel_axes)
            try:
                return ExportedNetwork(reader, example, self._channel_axes)
            except ModelError:
                raise
            except Exception as error:  # torch.export raises many kinds of error
                return HookedNetwork(reader, example, why_not(error), self._channel_axes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on how the model was loaded, is read and is cut."""
        cut = (self.network.note,) if self.network.note else ()
        drawn = (self._drawn,) if self._drawn else ()
        return (
            *self._notes,
            *self.output_spec.notes(),
            *self._trial.notes,
            *self._trial.chance,
            *drawn,
            *cut,
        )

    def known_as(
        self,
        reference: str,
        weights: str | None,
        *,
        class_names: Sequence[str] | None = None,
        output: str | None = None,
        allow_chance: bool = False,
        notes: Sequence[str] = (),
    ) -> Model:
        """Return the same model, stored in results under the reference that it was loaded by.

        Raises:
            ModelError: the class names differ from its own.
        """
        if class_names and self._class_names and tuple(class_names) != self._class_names:
            raise ModelError(
                f"{reference} returns a Model with its own class names. "
                "Omit --class-names, or let it return only the module."
            )
        options = {"output": output, "allow_chance": allow_chance or None}
        return Model(
            self.module,
            transform=self.transform,
            picture_mode=self._picture_mode,
            class_names=self._class_names or class_names,
            layers=self._layers,
            channel_axes=self._channel_axes,
            output=output or self._output,
            allow_chance=allow_chance or self._allow_chance,
            reference=reference,
            weights=weights or self._weights,
            options={**self._options, **{k: v for k, v in options.items() if v is not None}},
            notes=(*self._notes, *notes),
        )

    def feed(self, pixels: Tensor) -> Tensor:
        """Move inputs to the device and precision of the parameters."""
        like = self._parameter
        return pixels.to(like.device, like.dtype)

    @property
    def precision(self) -> torch.dtype:
        """Floating-point type of the parameters."""
        return self._parameter.dtype

    @property
    def half(self) -> torch.dtype | None:
        """Half-precision type of some layer's weights or outputs (autocast); None if there is none."""
        return self._trial.low

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self._parameter.device

    @property
    def _parameter(self) -> Tensor:
        """The first floating-point parameter, or buffer if there is none."""
        tensors = chain(self.module.parameters(), self.module.buffers())
        return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))

    @cached_property
    def names(self) -> ClassNames:
        """The class names, which resolve targets and labels."""
        count, names = self.network.classes, self._class_names
        if names is None:
            unnamed = self.output_spec.kind == "values" and count == 1
            return ClassNames(["value"] if unnamed else map(str, range(count)))
        if self.output_spec.single and len(names) == 1:
            names = (f"not {names[0]}", names[0])
        if len(names) != count:
            outputs = (
                "one output, which is read as two classes"
                if self.output_spec.single
                else f"{count} logits"
            )
            features = self.output_spec.features
            raise ModelError(
                f"There are {len(names)} class names for {outputs}. "
                + (
                    f"The outputs may be features: {features.why}. Give a network with a classifier."
                    if features
                    else "Give one name for each, in the order of the logits."
                )
            )
        return ClassNames(names)

    @property
    def named(self) -> bool:
        """Whether the model has class names, and not only class numbers."""
        return self._class_names is not None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the outputs."""
        return self.names.all

    @cached_property
    def info(self) -> ModelInfo:
        """The description of the model that results store."""
        digest = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            if isinstance(tensor, Tensor):
                digest.update(name.encode())
                values: Any = tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy()
                digest.update(values)
        kind = self.output_spec.kind
        told = {"output": kind} if self._output or kind != "logits" else {}
        return ModelInfo(
            reference=self._reference,
            weights=self._weights,
            digest=digest.hexdigest(),
            input_size=self.input_size,
            options=LoadOptions.model_validate({**self._options, **told}),
            answers=self.answers,
        )

    @cached_property
    def answers(self) -> tuple[float, ...]:
        """The first outputs for a drawn picture, by which a change of transform or network is noticed.

        Empty if the output is not a function of the picture.
        """
        if self._trial.chance or self._drawn:
            return ()
        image = self.feed(drawn_input(self.transform, self.input_form))[None]
        with torch.no_grad(), full_float32(), contextlib.redirect_stdout(sys.stderr):
            values = self.output_spec.reader(self.module)(image)
        return tuple(values[0, :ANSWERS].double().nan_to_num().tolist())

    def layers(self) -> tuple[LayerInfo, ...]:
        """Return all outputs that can be studied, in execution order."""
        proposed = set(self.proposed_layers())
        return tuple(
            LayerInfo(layer.name, layer.shape, layer.kind, layer.neurons, layer.name in proposed)
            for layer in self.network.layers.values()
        )

    def proposed_layers(self) -> tuple[str, ...]:
        """Return the layers studied by default: block outputs and the logits, input side first."""
        return self._layers or tuple(self.network.proposed())

    def layer(self, name: str) -> Layer:
        """Return the layer called ``name``; ``LayerError`` with similar names if there is none."""
        layers = self.network.layers
        try:
            return layers[name]
        except KeyError:
            there = name in dict(self.module.named_modules())
            reason = "does not run in forward or makes no activation" if there else "does not exist"
            raise LayerError(
                f"Layer {name!r} {reason}.{near(name, layers)} List them: neurflow layers MODEL"
            ) from None

    def node(self, name: str) -> Key:
        """Return the key of a layer's output for :meth:`outputs`."""
        return self.network.key(self.layer(name).name)

    def outputs(self, keys: Sequence[Key]) -> Observer:
        """Return a function from images to the values of some keys, as a tuple in their order."""
        return self.network.observe(keys)

    def batch(self, budget: Budget) -> Batch:
        """Return the number of images per batch: as many as are fastest, within the memory budget.

        On a CPU, small batches are fastest. The batch size, which affects the last digits of all
        results, is therefore the same for all but very small budgets.
        """
        on_processor = self.device.type == "cpu"
        # a forward pass takes about as much memory as three of the largest values
        return budget.batch(3 * self.network.widest, IMAGES if on_processor else BATCH)

    def segment(self, lower: str, upper: str) -> Segment:
        """Return the part of the network between two layers.

        Raises:
            ModelError: ``torch.inference_mode()`` is on, so there are no gradients.
            LayerError: the upper layer does not depend on the lower one.
        """
        return self.network.segment(self.layer(lower).name, self.layer(upper).name)

    def target(self, target: str | int | Target) -> Target:
        """Parse a target; see ``neurflow.model.targets``."""
        return target_of(target, self.names, self.network)

    def picture(self, pixels: Tensor) -> Image.Image:
        """Turn an input ``[channel, height, width]`` back into a picture."""
        return picture_of(pixels, self.transform)
