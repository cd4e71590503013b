"""The session store over HTTP, for the page: what was said in the terminal goes on there."""
