"""One look at the data: activations and feature maps of the studied layers."""
