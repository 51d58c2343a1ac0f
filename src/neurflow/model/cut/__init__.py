"""The part of a network between two layers."""
