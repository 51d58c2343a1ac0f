"""A classifier as the method needs it: named layers, outputs at any of them, segments between two."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from neurflow.circuit import ModelInfo, Target
from neurflow.errors import LayerError, ModelError, near
from neurflow.memory import BATCH, IMAGES, Batch, Budget
from neurflow.model.exported import ExportedNetwork, why_not
from neurflow.model.hooked import HookedNetwork
from neurflow.model.layers import Layer, LayerInfo
from neurflow.model.network import Key, Network, Observer, Segment
from neurflow.model.offering import Offer, offer
from neurflow.model.preprocessing import Preprocessing, Transform, picture_of
from neurflow.model.targets import target_of
from neurflow.naming import ClassNames


class Model:
    """A trained classifier with what it takes to feed and to read it.

    Args:
        module: maps images ``[batch, channel, height, width]`` to logits ``[batch, class]``.
            It is put into eval mode.
        transform: maps a PIL picture to the input ``[channel, height, width]``; default is
            ImageNet's preprocessing.
        picture_mode: Pillow's mode of the pictures that the transform gets, such as ``I;16``;
            default is RGB, or the first mode that suits the transform and the network.
        class_names: in the order of the logits; default is the class numbers.
        layers: names studied by default, input side first, the logits last; default is what the
            network's structure proposes.
        channel_axes: layer → axis of its channels, counted with the batch as axis 0, where the one
            found is wrong. All other axes but the batch are space, and pooled over.
        reference, weights, options: how ``load_model`` loads it again; kept in the result.

    Raises:
        ModelError: weights that are not finite, or a transform that makes no image tensor.
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
        reference: str | None = None,
        weights: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self.transform = transform or Preprocessing()
        self._picture_mode = picture_mode
        self._class_names = tuple(class_names) if class_names else None
        self._layers = tuple(layers) if layers else None
        self._channel_axes = dict(channel_axes or {})
        self._reference = reference or type(module).__name__
        self._weights, self._options = weights, options or {}
        for name in _not_finite(module):
            raise ModelError(
                f"The weights are not finite: {name} holds NaN or infinity. "
                "Load a checkpoint from before training diverged."
            )

    @cached_property
    def offer(self) -> Offer:
        """In which form the transform takes pictures, and the shape that it makes."""
        return offer(self.transform, self.module, self._picture_mode)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width of the input, as the transform makes them."""
        return self.offer.shape

    @cached_property
    def network(self) -> Network:
        """The network ready to be observed and cut: exported, or else by hooks; at first use."""
        example = self.feed(torch.zeros(2, *self.input_size))
        try:
            return ExportedNetwork(self.module, example, self._channel_axes)
        except ModelError:
            raise
        except Exception as error:  # torch.export fails in many ways, all with the same cure
            return HookedNetwork(self.module, example, why_not(error), self._channel_axes)

    def known_as(self, reference: str, weights: str | None) -> Model:
        """The same model, recorded in results under the reference it was loaded by."""
        return Model(
            self.module,
            transform=self.transform,
            picture_mode=self._picture_mode,
            class_names=self._class_names,
            layers=self._layers,
            channel_axes=self._channel_axes,
            reference=reference,
            weights=weights or self._weights,
            options=self._options,
        )

    def feed(self, pixels: Tensor) -> Tensor:
        """Inputs on the device and in the precision of the parameters."""
        like = self._parameter
        return pixels.to(like.device, like.dtype)

    @property
    def _parameter(self) -> Tensor:
        """Any of them."""
        tensors = self.module.state_dict().values()
        return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))

    @cached_property
    def names(self) -> ClassNames:
        """The classes by name: what a target or a label means."""
        count = self.network.classes
        if self._class_names is None:
            return ClassNames(map(str, range(count)))
        if len(self._class_names) != count:
            raise ModelError(
                f"{len(self._class_names)} class names for {count} logits. "
                "Give one name for each, in the order of the logits."
            )
        return ClassNames(self._class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the logits."""
        return self.names.all

    @cached_property
    def info(self) -> ModelInfo:
        """What the result records about the model."""
        digest = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
        return ModelInfo(
            reference=self._reference,
            weights=self._weights,
            digest=digest.hexdigest(),
            input_size=self.input_size,
            options=self._options,
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
        on_processor = self._parameter.device.type == "cpu"
        # running one takes about as much as three of the largest values on the way
        return budget.batch(3 * self.network.widest, IMAGES if on_processor else BATCH)

    def segment(self, lower: str, upper: str) -> Segment:
        """The part of the network between two layers."""
        return self.network.segment(self.layer(lower).name, self.layer(upper).name)

    def target(self, target: str | int | Target) -> Target:
        """What to explain, from what a user gives; see ``neurflow.targets``."""
        return target_of(target, self.names, self.network)

    def picture(self, pixels: Tensor) -> Image.Image:
        """An input ``[channel, height, width]`` as a picture to look at."""
        return picture_of(pixels, self.transform)


def _not_finite(module: nn.Module) -> Iterator[str]:
    """Parameters that are not finite, and buffers with NaN: an infinite one may be a bound."""
    for name, parameter in module.named_parameters():
        if not parameter.isfinite().all():
            yield name
    for name, buffer in module.named_buffers():
        if buffer.isnan().any():
            yield name
