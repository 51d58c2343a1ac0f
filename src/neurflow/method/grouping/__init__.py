"""Neuron groups that come back on other pictures.

``features`` says how alike two (neuron, semantic group) pairs are, ``reproducibility`` asks which
branches and cuts of their tree return on halves of the images.
"""
