"""Long-running robustness campaigns, which are not part of the tests."""
