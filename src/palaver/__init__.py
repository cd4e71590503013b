"""Talk to the models you own, and make them better by talking."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Chatbot", "TextModel", "__version__", "tool"]

if TYPE_CHECKING:
    from palaver.chatbot import Chatbot
    from palaver.textmodel import TextModel
    from palaver.tools.function import tool


def __getattr__(name: str) -> Any:
    """Load what is heavy when it is asked for (PEP 562)."""
    if name == "Chatbot":
        from palaver.chatbot import Chatbot

        return Chatbot
    if name == "TextModel":
        from palaver.textmodel import TextModel

        return TextModel
    if name == "tool":
        from palaver.tools.function import tool

        return tool
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
