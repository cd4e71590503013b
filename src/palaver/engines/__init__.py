"""Token engines: prompt ids in, tokens out; each in a process of its own."""
