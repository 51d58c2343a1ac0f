"""Pictures and their crops."""
