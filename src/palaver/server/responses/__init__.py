"""OpenAI's responses: a route, its items and events, what is kept, and the server's own tools."""
