"""Cuts rendered text so that text of users, tools and files can't become control tokens."""
