"""The pocket model's config.json, without the quantisation."""

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 4096, "hidden_size": 384, "intermediate_size": 768,
    "num_hidden_layers": 8, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 64, "hidden_act": "silu",
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": True,
    "attention_bias": False, "attention_dropout": 0.0, "use_sliding_window": False, "sliding_window": None, "max_window_layers": 8,
    "initializer_range": 0.02, "use_cache": True, "bos_token_id": None, "eos_token_id": 4089, "pad_token_id": 4087, "torch_dtype": "bfloat16",
}
