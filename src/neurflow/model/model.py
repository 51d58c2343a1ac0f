"""A classifier as the method needs it: named layers, outputs at any of them, segments between two."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from neurflow.errors import LayerError, ModelError, near
from neurflow.model.borrowed import borrowed
from neurflow.model.cut.exported import ExportedNetwork, why_not
from neurflow.model.cut.hooked import HookedNetwork
from neurflow.model.naming import ClassNames
from neurflow.model.network.layers import Layer, LayerInfo
from neurflow.model.network.protocols import Key, Network, Observer, Segment
from neurflow.model.offering import Offer, offer
from neurflow.model.outputs import Outputs, kind_of
from neurflow.model.preprocessing import Preprocessing, Transform, picture_of
from neurflow.model.targets import target_of
from neurflow.model.trial import BATCH as TRIED
from neurflow.model.trial import CURE as CHANCE_CURE
from neurflow.model.trial import Trial, chance_of, look, plain_module, refuse_kinds
from neurflow.refs import LoadOptions, ModelInfo, Target
from neurflow.runtime.memory import BATCH, IMAGES, Batch, Budget


class Model:
    """A trained classifier with what it takes to feed and to read it.

    Args:
        module: maps images ``[batch, channel, height, width]`` to outputs ``[batch, class]``, or to
            something that holds them. It is run in eval mode and given back as it was.
        transform: maps a PIL picture to the input ``[channel, height, width]``; default is
            ImageNet's preprocessing.
        picture_mode: Pillow's mode of the pictures that the transform gets, such as ``I;16``;
            default is RGB, or the first mode that suits the transform and the network.
        class_names: in the order of the outputs; default is the class numbers. For a network of one
            output: the class below 0 and the one above, or the latter alone.
        layers: names studied by default, input side first, the outputs last; default is what the
            network's structure proposes.
        channel_axes: layer → axis of its channels, counted with the batch as axis 0, where the one
            found is wrong. All other axes but the batch are space, and pooled over.
        output: what the outputs are, where it is not seen: ``logits``, ``probabilities``,
            ``sigmoid`` (several labels) or ``log-probabilities``.
        allow_chance: explain a network whose answer is not a function of the picture.
        reference, weights, options: how ``load_model`` loads it again; kept in the result.
        notes: what the user should know of how it was loaded.

    Raises:
        ModelError: weights that are not finite, or a module that cannot be explained.
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
    def offer(self) -> Offer:
        """In which form the transform takes pictures, and the shape that it makes."""
        return offer(self.transform, self.module, self._picture_mode)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width of the input, as the transform makes them."""
        return self.offer.shape

    @cached_property
    def _trial(self) -> Trial:
        """What a first look at the network found; refuses chance that was not allowed."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((TRIED, *self.input_size), generator=generator)
        classes = len(self._class_names) if self._class_names else None
        half = self._parameter.element_size() < 4
        found = look(self.module, self.feed(noise), said=self._output, classes=classes, half=half)
        if found.chance and not self._allow_chance:
            raise ModelError(f"{' '.join(found.chance)} {CHANCE_CURE}")
        return found

    @cached_property
    def _drawn(self) -> str | None:
        """What the transform does at random; refused unless it was allowed."""
        found = chance_of(self.transform)
        if found and not self._allow_chance:
            raise ModelError(f"{found} {CHANCE_CURE}")
        return found

    @property
    def outputs_are(self) -> Outputs:
        """What the outputs are, and how they become probabilities."""
        return self._trial.outputs

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities of outputs ``[…, class]``: the one place where they are made."""
        return self._trial.outputs.probabilities(outputs)

    @cached_property
    def network(self) -> Network:
        """The network ready to be observed and cut: exported, or else by hooks; at first use."""
        _, trial = self._drawn, self._trial
        reader = trial.outputs.reader(self.module)
        example = self.feed(torch.zeros(2, *self.input_size))
        with borrowed(self.module), contextlib.redirect_stdout(sys.stderr):
            if trial.chance:
                why = "its answer is not a function of the picture."
                return HookedNetwork(reader, example, why, self._channel_axes)
            try:
                return ExportedNetwork(reader, example, self._channel_axes)
            except ModelError:
                raise
            except Exception as error:  # torch.export fails in many ways, all with the same cure
                return HookedNetwork(reader, example, why_not(error), self._channel_axes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how it was loaded, is read and is cut."""
        cut = (self.network.note,) if self.network.note else ()
        drawn = (self._drawn,) if self._drawn else ()
        return (*self._notes, *self.outputs_are.notes(), *self._trial.chance, *drawn, *cut)

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
        """The same model, recorded in results under the reference it was loaded by.

        Raises:
            ModelError: other class names than its own.
        """
        if class_names and self._class_names and tuple(class_names) != self._class_names:
            raise ModelError(
                f"{reference} returns a Model with class names of its own. "
                "Leave out --class-names, or let it return the module alone."
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
        """Inputs on the device and in the precision of the parameters."""
        like = self._parameter
        return pixels.to(like.device, like.dtype)

    @property
    def precision(self) -> torch.dtype:
        """What the network computes in."""
        return self._parameter.dtype

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self._parameter.device

    @property
    def _parameter(self) -> Tensor:
        """Any of them."""
        tensors = self.module.state_dict().values()
        return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))

    @cached_property
    def names(self) -> ClassNames:
        """The classes by name: what a target or a label means."""
        count, names = self.network.classes, self._class_names
        if names is None:
            return ClassNames(map(str, range(count)))
        if self.outputs_are.single and len(names) == 1:
            names = (f"not {names[0]}", names[0])
        if len(names) != count:
            outputs = (
                "one output, which is two classes"
                if self.outputs_are.single
                else (f"{count} logits")
            )
            raise ModelError(
                f"{len(names)} class names for {outputs}. "
                "Give one name for each, in the order of the logits."
            )
        return ClassNames(names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the outputs."""
        return self.names.all

    @cached_property
    def info(self) -> ModelInfo:
        """What the result records about the model."""
        digest = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            if isinstance(tensor, Tensor):
                digest.update(name.encode())
                values: Any = tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy()
                digest.update(values)
        kind = self.outputs_are.kind
        told = {"output": kind} if self._output or kind != "logits" else {}
        return ModelInfo(
            reference=self._reference,
            weights=self._weights,
            digest=digest.hexdigest(),
            input_size=self.input_size,
            options=LoadOptions.model_validate({**self._options, **told}),
        )

    def layers(self) -> tuple[LayerInfo, ...]:
        """All outputs that can be studied, in execution order."""
        proposed = set(self.proposed_layers())
        return tuple(
            LayerInfo(layer.name, layer.shape, layer.kind, layer.neurons, layer.name in proposed)
            for layer in self.network.layers.values()
        )

    def proposed_layers(self) -> tuple[str, ...]:
        """The layers studied by default: block outputs and the logits, input side first."""
        return self._layers or tuple(self.network.proposed())

    def layer(self, name: str) -> Layer:
        """The layer called ``name``; ``LayerError`` with near names if there is none."""
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
        """A layer's output as something to ask :meth:`outputs` for."""
        return self.network.key(self.layer(name).name)

    def outputs(self, keys: Sequence[Key]) -> Observer:
        """A function from images to the values asked for, in their order, as a tuple."""
        return self.network.observe(keys)

    def batch(self, budget: Budget) -> Batch:
        """Images to be run at once: no more than the budget holds, or than run fastest.

        On a processor these are few. So their number, and with it the last digits of all that is
        computed, is the same for all but very small budgets.
        """
        on_processor = self.device.type == "cpu"
        # running one takes about as much as three of the largest values on the way
        return budget.batch(3 * self.network.widest, IMAGES if on_processor else BATCH)

    def segment(self, lower: str, upper: str) -> Segment:
        """The part of the network between two layers.

        Raises:
            ModelError: inside ``torch.inference_mode()``, where nothing can be attributed.
            LayerError: the upper one does not depend on the lower one.
        """
        return self.network.segment(self.layer(lower).name, self.layer(upper).name)

    def target(self, target: str | int | Target) -> Target:
        """What to explain, from what a user gives; see ``neurflow.targets``."""
        return target_of(target, self.names, self.network)

    def picture(self, pixels: Tensor) -> Image.Image:
        """An input ``[channel, height, width]`` as a picture to look at."""
        return picture_of(pixels, self.transform)
