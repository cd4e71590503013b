"""vLLM, started and owned by us: `vllm serve` in an engine's process, asked over loopback."""
