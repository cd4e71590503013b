"""Talk to the models you own, and make them better by talking."""

__version__ = "0.1.0"
