"""What can go wrong while local services start, said in one sentence."""

__all__ = ["LocalServiceError"]


class LocalServiceError(Exception):
    """A local component cannot be had. Its text is one clear sentence that says what to do."""
