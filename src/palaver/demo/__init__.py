"""The tiny model that ships with palaver, and the program that trains it."""
