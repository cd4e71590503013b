"""More shapes of models, for what depends on the architecture: experts and latent attention."""

from __future__ import annotations

from benchmarks.make_gguf import Shape, transformer


def experts() -> Shape:
    """Return a mixture of 8 experts of which 2 answer (qwen3moe)."""
    layers, embd, ffn, count = 4, 512, 384, 8
    plain = transformer(
        "qwen3", layers=layers, embd=embd, heads=8, kv=4, head=64, ffn=ffn, vocab=8192
    )
    dense = ("ffn_gate.", "ffn_up.", "ffn_down.")
    tensors = [t for t in plain.tensors if not any(name in t[0] for name in dense)]
    for b in (f"blk.{i}.ffn_" for i in range(layers)):
        tensors += [
            (b + "gate_inp.weight", (embd, count), "float"),
            (b + "gate_exps.weight", (embd, ffn, count), "matrix"),
            (b + "up_exps.weight", (embd, ffn, count), "matrix"),
            (b + "down_exps.weight", (ffn, embd, count), "matrix"),
        ]
    keys = {"expert_count": count, "expert_used_count": 2, "expert_feed_forward_length": ffn}
    return Shape("qwen3moe", {**plain.keys, **keys}, tensors)


def latent() -> Shape:
    """Return a model whose heads share one compressed key of 256 + 32 values (deepseek2)."""
    layers, embd, heads, ffn, vocab = 4, 512, 8, 1024, 8192
    rank, turned, plain, value, query = 256, 32, 64, 64, 256
    tensors: list[tuple[str, tuple[int, ...], str]] = [
        ("token_embd.weight", (embd, vocab), "matrix"),
        ("output_norm.weight", (embd,), "1"),
        ("output.weight", (embd, vocab), "matrix"),
    ]
    for b in (f"blk.{i}." for i in range(layers)):
        tensors += [
            (b + "attn_norm.weight", (embd,), "1"),
            (b + "attn_q_a_norm.weight", (query,), "1"),
            (b + "attn_kv_a_norm.weight", (rank,), "1"),
            (b + "attn_q_a.weight", (embd, query), "matrix"),
            (b + "attn_q_b.weight", (query, heads * (plain + turned)), "matrix"),
            (b + "attn_kv_a_mqa.weight", (embd, rank + turned), "matrix"),
            (b + "attn_k_b.weight", (plain, rank, heads), "matrix"),
            (b + "attn_v_b.weight", (rank, value, heads), "matrix"),
            (b + "attn_output.weight", (heads * value, embd), "matrix"),
            (b + "ffn_norm.weight", (embd,), "1"),
            (b + "ffn_gate.weight", (embd, ffn), "matrix"),
            (b + "ffn_up.weight", (embd, ffn), "matrix"),
            (b + "ffn_down.weight", (ffn, embd), "matrix"),
        ]
    keys = {
        "block_count": layers, "context_length": 40960, "embedding_length": embd,
        "feed_forward_length": ffn, "attention.head_count": heads, "attention.head_count_kv": 1,
        "attention.key_length": rank + turned, "attention.value_length": rank,
        "attention.key_length_mla": plain + turned, "attention.value_length_mla": value,
        "attention.kv_lora_rank": rank, "attention.q_lora_rank": query,
        "attention.layer_norm_rms_epsilon": 1e-6, "rope.dimension_count": turned,
        "rope.freq_base": 1e4, "leading_dense_block_count": layers, "expert_count": 4,
        "expert_used_count": 2, "expert_feed_forward_length": 256, "expert_shared_count": 1,
        "expert_weights_scale": 1.0,
    }  # fmt: skip
    return Shape("deepseek2", keys, tensors)
