"""The program around a blocking model: one socket, one thread, one loop of tokens for all."""
