"""The part between two layers, for one neuron, made fast."""
