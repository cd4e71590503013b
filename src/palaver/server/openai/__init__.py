"""OpenAI's chats, completions and what stands beside them, as routes."""
