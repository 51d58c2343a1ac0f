"""Tables over the circuits of many targets, and questions to them."""
