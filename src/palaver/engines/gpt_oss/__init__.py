"""The engine `gpt-oss`: OpenAI's open-weight models in our own torch code."""
