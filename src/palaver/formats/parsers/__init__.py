"""One parser a file, each ending in `PARSER`: a class made with `opened`, found by a scan.

`opened` says that the end of the prompt has opened the thinking block already.
"""
