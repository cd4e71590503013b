"""Engines that are processes: how one is started, talked to and ended, whatever runs in it."""
