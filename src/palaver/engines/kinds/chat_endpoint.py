"""Somebody's chat endpoint: no engine of ours, `palaver.models.chat_endpoint` speaks to it."""

from palaver.engines.registry import Kind

ENGINE = Kind(
    name="chat-endpoint",
    about="an OpenAI-compatible chat endpoint (--endpoint URL)",
    program=(),
    suits=lambda _weights: 0,
    needs=("httpx2",),
)
