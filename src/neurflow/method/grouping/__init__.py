"""Neuron groups that are reproducible on other pictures.

``features`` computes the similarity of (neuron, semantic group) pairs. ``reproducibility`` measures
which branches and cuts of their tree recur on halves of the images.
"""
