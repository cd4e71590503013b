"""`palaver serve`: the models, over HTTP, for clients that speak OpenAI's API."""
