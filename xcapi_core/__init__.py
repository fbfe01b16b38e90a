"""Server-side conversions from Google Cloud Pub/Sub to the X Ads Conversions API."""

__all__ = ["__version__"]

__version__ = "0.2.0"
