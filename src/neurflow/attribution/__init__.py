"""Ways to score a lower neuron for an upper one."""

from neurflow.attribution.integrated_gradients import Attribution, integrated_gradients

__all__ = ["Attribution", "integrated_gradients"]
