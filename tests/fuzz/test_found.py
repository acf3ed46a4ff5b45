"""What random scenarios found: each a small scenario that failed once, and does not any more."""
