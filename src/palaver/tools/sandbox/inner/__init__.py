"""The processes around a command: the launcher that forks them and the cell that confines it.

They start in milliseconds, so nothing here imports typing, json, enum, re or the rest of palaver;
they run under `python -I -S` with this package's parent folder on the path, and with a clean
environment. What they are told comes from palaver alone, by marshal.
"""
