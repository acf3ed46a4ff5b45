"""x"""
def fit() -> None:
    """X."""
