"""model_cases.py: the list of golden cases of the decoder family, one entry a folder.

name -> dict(covers=..., spec changes...), and
  same=NAME     shares shape and weight files with that case
  mutant={..}   config keys changed (None: removed) to get a model that must answer differently;
                the difference is recorded, so that a case that can't fail is seen
  zero=REGEX    tensors set to zero in that mutant (options that are seen in tensors only)
"""
import fp

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
NO_ROPE = {"rope_scaling": None, "rope_parameters": None}


def rope(**changes):
    return dict(NO_ROPE, **changes)


def quant(bits, group, dtype="f16", **more):
    return dict(bits=bits, group=group, dtype=dtype, **more)


def fp_quant(kind, **more):
    return quant(*fp.MODES[kind], kind=kind, **more)


MIXED = {                    # every linear of layer 0 its own, layer 1 the default or not at all
    "model.embed_tokens": {"group_size": 32, "bits": 6, "mode": "affine"},
    "model.layers.0.self_attn.q_proj": {"group_size": 32, "bits": 2},
    "model.layers.0.self_attn.k_proj": {"group_size": 32, "bits": 3},
    "model.layers.0.self_attn.v_proj": {"group_size": 64, "bits": 5},
    "model.layers.0.self_attn.o_proj": {"group_size": 64, "bits": 8, "mode": "affine"},
    "model.layers.0.mlp.gate_proj": True,
    "model.layers.0.mlp.down_proj": {"group_size": 32, "bits": 8},
    "model.layers.1.self_attn.o_proj": False,
    "model.layers.1.mlp.up_proj": {"bits": 6, "group_size": 64},
    "lm_head": False,
}

CASES = {
    # llama: one f32 model under many configs
    "llama/f32": dict(covers="gqa, untied, transformers 4 form", seed=11),
    "llama/f32-v5": dict(covers="transformers 5 form", same="llama/f32", form="5"),
    "llama/f32-v5-min": dict(covers="transformers 5 form, every default left out",
                             same="llama/f32", form="5min", eps=1e-6),
    "llama/eps-1e-3": dict(covers="rms_norm_eps", same="llama/f32", eps=1e-3,
                           mutant={"rms_norm_eps": 1e-5}),
    "llama/theta-500000-v5": dict(covers="rope_theta inside rope_parameters", same="llama/f32",
                                  form="5", theta=500000.0, mutant=rope()),
    "llama/rope-linear-old-type": dict(
        covers='rope_scaling linear under its old key "type"', same="llama/f32",
        rope={"type": "linear", "factor": 2.5}, mutant=rope()),
    "llama/rope-linear-v5": dict(covers="rope linear, transformers 5 form", same="llama/f32",
                                 form="5", theta=5000.0,
                                 rope={"rope_type": "linear", "factor": 4.0},
                                 mutant=rope(rope_theta=5000.0)),
    "llama/rope-dynamic-below": dict(
        covers="rope dynamic, T and continuation within max_position_embeddings",
        same="llama/f32", max_pos=64, T=24, rope={"type": "dynamic", "factor": 2.0}),
    "llama/rope-dynamic-above": dict(
        covers="rope dynamic, T above max_position_embeddings", same="llama/f32", max_pos=32, T=64,
        rope={"rope_type": "dynamic", "factor": 2.0}, mutant=rope()),
    "llama/rope-dynamic-crossing-v5": dict(
        covers="rope dynamic, continuation crosses max_position_embeddings", same="llama/f32",
        form="5", max_pos=40, T=36, rope={"rope_type": "dynamic", "factor": 4.0}),
    "llama/rope-llama3": dict(covers="rope llama3", same="llama/f32", max_pos=512, T=96,
                              rope=LLAMA3, mutant=rope()),
    "llama/rope-llama3-v5": dict(covers="rope llama3, transformers 5 form", same="llama/f32",
                                 form="5", theta=500000.0, max_pos=512,
                                 rope=dict(LLAMA3, factor=32.0), mutant=rope(rope_theta=500000.0)),
    "llama/rope-llama3-no-original": dict(
        covers="rope llama3, original_max_position_embeddings defaults to max_position_embeddings",
        same="llama/f32", max_pos=48,
        rope={k: v for k, v in LLAMA3.items() if k != "original_max_position_embeddings"},
        mutant=rope()),
    "llama/rope-yarn": dict(covers="rope yarn, defaults", same="llama/f32", max_pos=128, T=64,
                            rope=YARN, mutant=rope()),
    "llama/rope-yarn-attention-factor-v5": dict(
        covers="rope yarn, attention_factor beta_fast beta_slow, transformers 5 form",
        same="llama/f32", form="5", max_pos=128, T=64,
        rope=dict(YARN, attention_factor=1.3, beta_fast=6.0, beta_slow=0.5),
        mutant=rope(rope_scaling=YARN)),
    "llama/rope-yarn-mscale": dict(
        covers="rope yarn, mscale mscale_all_dim", same="llama/f32", max_pos=128, T=64,
        rope=dict(YARN, mscale=1.5, mscale_all_dim=0.6), mutant=rope(rope_scaling=YARN)),
    "llama/rope-yarn-no-truncate-v5": dict(
        covers="rope yarn, truncate false, beta_fast beta_slow", same="llama/f32", form="5",
        max_pos=256, T=64, rope=dict(YARN, truncate=False, beta_fast=4, beta_slow=1, factor=8.0),
        mutant=rope(rope_scaling=dict(YARN, beta_fast=4, beta_slow=1, factor=8.0))),
    "llama/rope-yarn-no-original": dict(
        covers="rope yarn, original_max_position_embeddings defaults to max_position_embeddings",
        same="llama/f32", max_pos=64, rope={"rope_type": "yarn", "factor": 4.0}, mutant=rope()),
    "llama/act-gelu": dict(covers="hidden_act gelu (erf)", same="llama/f32", act="gelu",
                           mutant={"hidden_act": "gelu_pytorch_tanh"}),
    "llama/act-gelu-tanh": dict(covers="hidden_act gelu_pytorch_tanh", same="llama/f32",
                                act="gelu_pytorch_tanh", mutant={"hidden_act": "gelu"}),
    "llama/act-relu-v5": dict(covers="hidden_act relu", same="llama/f32", form="5", act="relu",
                              mutant={"hidden_act": "silu"}),
    # llama: other shapes
    "llama/bias-mha-f16": dict(covers="attention_bias, mlp_bias, mha, f16", H=4, K=4, V=120,
                               attn_bias=True, mlp_bias=True, dtype="f16", seed=21, zero=r"bias$"),
    "llama/mqa-head-dim-bf16": dict(covers="mqa, head_dim above hidden / heads, bf16", K=1, D=24,
                                    dtype="bf16", seed=22),
    "llama/head-dim-small-v5": dict(covers="head_dim below hidden / heads, 3 layers, f16", H=2,
                                    K=1, D=20, L=3, F=72, dtype="f16", form="5", seed=23),
    "llama/tied-f16": dict(covers="tied output, generation_config with a list of eos ids", tie=True,
                           dtype="f16", V=131, seed=24,
                           generation={"bos_token_id": 1, "eos_token_id": [2, 7]}),
    "llama/sharded-bf16": dict(covers="sharded, rotary inv_freq tensors that must be ignored",
                               shards=3, dtype="bf16", extra_tensors=True, seed=25),
    # llama: quantised
    "llama/q4-g64": dict(covers="4 bit g64, f16 scales", dtype="f16", quant=quant(4, 64), F=128,
                         seed=31),
    "llama/q4-g64-v5": dict(covers="4 bit g64, transformers 5 form", same="llama/q4-g64", form="5"),
    "llama/q4-g64-no-mode": dict(covers="quantization without mode, no quantization_config",
                                 same="llama/q4-g64", quant=quant(4, 64, mode=False, both=False)),
    "llama/q8-g32": dict(covers="8 bit g32, f32 scales", dtype="f32", quant=quant(8, 32, "f32"),
                         seed=32),
    "llama/q2-g32-tied": dict(covers="2 bit g32, quantised tied embedding, bf16 scales",
                              dtype="bf16", quant=quant(2, 32, "bf16"), tie=True, seed=33),
    "llama/q-mixed": dict(covers="per-layer overrides, mixed quantised and not, lm_head false",
                          dtype="f16", F=64, quant=quant(4, 64, overrides=MIXED), seed=34),
    "llama/q4-g128-bias": dict(covers="4 bit g128, linears with bias", dtype="bf16", E=128, F=128,
                               L=1, quant=quant(4, 128, "bf16"), attn_bias=True, mlp_bias=True,
                               seed=35, zero=r"[a-z]\.bias$"),
    # mistral
    "mistral/bf16": dict(covers="sliding_window null, bf16", dtype="bf16", seed=41, T=40),
    "mistral/window": dict(covers="sliding_window below T", same="mistral/bf16", window=12, T=64,
                           mutant={"sliding_window": None}),
    "mistral/window-v5": dict(covers="sliding_window below T, transformers 5 form",
                              same="mistral/bf16", window=23, T=64, form="5",
                              mutant={"sliding_window": None}),
    "mistral/window-2": dict(covers="sliding_window 2: a token sees itself and one before",
                             same="mistral/bf16", window=2, T=24, mutant={"sliding_window": 3}),
    "mistral/kv-default-v5-min": dict(
        covers="num_key_value_heads left out (8 for mistral), head_dim explicit", form="5min", H=16,
        K=8, D=8, E=80, F=80, theta=1000000.0, dtype="f16", window=4096, seed=42),
    "mistral/yarn-window-f16": dict(
        covers="rope yarn with sliding_window, head_dim, f16", H=4, K=1, D=24, dtype="f16",
        window=20, T=56, max_pos=128, rope=dict(YARN, beta_fast=16), seed=43,
        mutant={"sliding_window": None}),
    "mistral/q3-g64": dict(covers="3 bit g64", dtype="f16", F=64, quant=quant(3, 64), seed=44),
    "mistral/q5-g32-window": dict(covers="5 bit g32, f32 scales, sliding_window", dtype="f32",
                                  quant=quant(5, 32, "f32"), window=16, seed=45,
                                  mutant={"sliding_window": None}),
    "mistral/q4-sharded-v5": dict(covers="4 bit g32, sharded, bf16 scales", dtype="bf16", shards=2,
                                  quant=quant(4, 32, "bf16"), form="5", seed=46),
    "mistral/q6-g128": dict(covers="6 bit g128", dtype="f16", E=128, F=128, L=1,
                            quant=quant(6, 128), seed=47),
    # qwen2
    "qwen2/f16": dict(covers="q k v bias, f16, sliding_window set but not used", dtype="f16",
                      window=8, use_window=False, window_from=0, L=3, F=80, seed=51,
                      zero=r"bias$", eps=1e-6),
    "qwen2/f16-v5": dict(covers="transformers 5 form", same="qwen2/f16", form="5"),
    "qwen2/f16-v5-min": dict(covers="transformers 5 form, every default left out",
                             same="qwen2/f16", form="5min", use_window=None, window=None),
    "qwen2/window-layers": dict(covers="use_sliding_window from max_window_layers on",
                                same="qwen2/f16", use_window=True, window=10, window_from=1, T=56,
                                mutant={"max_window_layers": 2}),
    "qwen2/window-layers-v5-min": dict(
        covers="use_sliding_window, max_window_layers 2, layer_types left out", same="qwen2/f16",
        form="5min", use_window=True, window=9, window_from=2,
        mutant={"use_sliding_window": False}),
    "qwen2/layer-types-v5": dict(
        covers="layer_types wins over max_window_layers", same="qwen2/f16", form="5",
        use_window=True, window=11, window_from=0,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        mutant={"layer_types": None}),
    "qwen2/yarn-explicit-factor": dict(
        covers="rope yarn, factor differs from max_position_embeddings / original: factor counts",
        same="qwen2/f16", use_window=None, window=None, max_pos=32, T=64, theta=1000000.0,
        rope=YARN, mutant=rope()),
    "qwen2/tied-bf16": dict(covers="tied output, bf16, mqa, head_dim key", dtype="bf16", tie=True,
                            K=1, D=24, V=150, seed=52, extra={"attention_dropout": 0.1}),
    "qwen2/q4-g64": dict(covers="4 bit g64 with q k v bias, untied", dtype="bf16",
                         quant=quant(4, 64, "bf16"), F=64, seed=53, zero=r"[a-z]\.bias$"),
    "qwen2/q6-g32-tied": dict(covers="6 bit g32, tied quantised embedding", dtype="f16", tie=True,
                              quant=quant(6, 32), seed=54),
    "qwen2/q8-g64": dict(covers="8 bit g64, embedding not quantised, untied", dtype="f16", F=64,
                         quant=quant(8, 64, overrides={"model.embed_tokens": False}), seed=55),
    "qwen2/q3-g128": dict(covers="3 bit g128, f32 scales", dtype="f32", E=128, F=128, L=1,
                          quant=quant(3, 128, "f32"), seed=56),
    # mixtral, qwen3_moe
    "mixtral/bf16": dict(covers="experts one by one, window given", dtype="bf16", X=5, U=2, F=48,
                         window=14, seed=91, mutant={"sliding_window": None}),
    "mixtral/q4-stacked-v5": dict(covers="4 bit g64 experts stacked as mlx-lm stores them", X=4,
                                  U=2, F=64, dtype="bf16", quant=quant(4, 64, "bf16"), form="5",
                                  stacked=True, theta=1000000.0, seed=92),
    "qwen3_moe/f16": dict(covers="8 experts, 3 a token, weights not normalised", dtype="f16", X=8,
                          U=3, D=24, L=3, eps=1e-6, seed=93, mutant={"norm_topk_prob": True}),
    "qwen3_moe/normalised-v5": dict(covers="norm_topk_prob, transformers 5 form",
                                    same="qwen3_moe/f16", form="5", normalise=True,
                                    mutant={"norm_topk_prob": False}),
    "qwen3_moe/window": dict(covers="use_sliding_window on every layer", same="qwen3_moe/f16",
                             window=9, T=40, mutant={"use_sliding_window": False}),
    "qwen3_moe/mixed-layers": dict(
        covers="decoder_sparse_step 2, mlp_only_layers, bf16", dtype="bf16", X=6, U=2, L=4,
        sparse_step=2, mlp_only=(1,), normalise=True, seed=94),
    "qwen3_moe/q4-stacked": dict(
        covers="4 bit g32 stacked, router of 8 bits", dtype="bf16", X=6, U=2, FX=64, normalise=True,
        stacked=True, seed=95, quant=quant(4, 32, "bf16", overrides={
            f"model.layers.{i}.mlp.gate": {"group_size": 64, "bits": 8} for i in range(2)})),
    "qwen3_moe/mxfp4-stacked": dict(covers="mxfp4 stacked, router dense", dtype="bf16", X=6, U=2,
                                    FX=64, normalise=True, stacked=True, seed=96,
                                    quant=fp_quant("mxfp4", overrides={
                                        f"model.layers.{i}.mlp.gate": False for i in range(2)})),
    # qwen3
    "qwen3/f32": dict(covers="qk-norm, head_dim above hidden / heads", E=48, D=20, eps=1e-6,
                      seed=61, L=3, F=64, theta=1000000.0),
    "qwen3/f32-v5": dict(covers="transformers 5 form", same="qwen3/f32", form="5"),
    "qwen3/window-layers": dict(covers="use_sliding_window from max_window_layers on",
                                same="qwen3/f32", window=10, window_from=2, T=56,
                                mutant={"use_sliding_window": False}),
    "qwen3/layer-types-v5": dict(
        covers="layer_types full and sliding", same="qwen3/f32", form="5", window=7,
        layer_types=["full_attention", "sliding_attention", "full_attention"],
        mutant={"layer_types": ["full_attention"] * 3}),
    "qwen3/rope-yarn-v5": dict(covers="rope yarn, transformers 5 form", same="qwen3/f32", form="5",
                               max_pos=128, T=64, rope=YARN, mutant=rope(rope_theta=1000000.0)),
    "qwen3/rope-dynamic-above-v5": dict(
        covers="rope dynamic, T above max_position_embeddings", same="qwen3/f32", form="5",
        max_pos=24, T=40, rope={"rope_type": "dynamic", "factor": 3.0},
        mutant=rope(rope_theta=1000000.0)),
    "qwen3/head-dim-default-v5-min": dict(
        covers="head_dim left out (128 for qwen3), f16", form="5min", H=2, K=1, D=128, E=64, F=64,
        L=1, dtype="f16", eps=1e-6, seed=62),
    "qwen3/bias-mha-bf16": dict(covers="attention_bias with qk-norm, mha, bf16", attn_bias=True,
                                K=4, D=16, dtype="bf16", seed=63, zero=r"bias$"),
    "qwen3/tied-f16": dict(covers="tied output, f16", tie=True, D=32, K=1, dtype="f16", seed=64),
    "qwen3/q4-g64-tied": dict(covers="4 bit g64, tied quantised embedding", dtype="bf16", tie=True,
                              D=32, F=128, V=192, quant=quant(4, 64, "bf16"), seed=65),
    "qwen3/q4-g32": dict(covers="4 bit g32, f16 scales", dtype="f16", D=24, quant=quant(4, 32),
                         seed=66),
    "qwen3/q2-g64": dict(covers="2 bit g64", dtype="f16", D=16, F=64, quant=quant(2, 64), seed=67),
    "qwen3/q3-g32-v5": dict(covers="3 bit g32, transformers 5 form", dtype="bf16", D=24, form="5",
                            quant=quant(3, 32, "bf16"), seed=68),
    "qwen3/q5-g64": dict(covers="5 bit g64, tied, embedding not quantised", dtype="f16", D=32,
                         F=128, tie=True, seed=69,
                         quant=quant(5, 64, overrides={"model.embed_tokens": False})),
    "qwen3/q6-g64-mixed": dict(
        covers="6 bit g64, some linears stored dense and not listed", dtype="f16", D=16, F=128,
        seed=70, quant=quant(6, 64, skip=("model.layers.0.mlp.up_proj",
                                          "model.layers.1.self_attn.k_proj"))),
    "qwen3/q2-g128": dict(covers="2 bit g128", dtype="bf16", E=128, F=128, D=32, L=1,
                          quant=quant(2, 128, "bf16"), seed=71),
    "qwen3/q5-g128": dict(covers="5 bit g128", dtype="f16", E=128, F=128, D=32, L=1,
                          quant=quant(5, 128), seed=72),
    "qwen3/mxfp4": dict(covers="mxfp4, untied", dtype="bf16", D=24, quant=fp_quant("mxfp4"),
                        seed=74),
    "qwen3/mxfp8-tied": dict(covers="mxfp8, tied quantised embedding", dtype="f16", D=24, tie=True,
                             quant=fp_quant("mxfp8"), seed=75),
    "qwen3/nvfp4-v5": dict(covers="nvfp4, rows of 48 and 80 codes, transformers 5 form", form="5",
                           dtype="bf16", E=48, F=80, D=16, quant=fp_quant("nvfp4"), seed=76),
    "llama/mxfp4-mixed": dict(
        covers="mxfp4 with affine, mxfp8, nvfp4 and dense linears of their own", dtype="bf16",
        E=128, F=128, seed=77,
        quant=fp_quant("mxfp4", overrides={
            "model.embed_tokens": {"group_size": 64, "bits": 8},
            "model.layers.0.self_attn.q_proj": {"group_size": 32, "bits": 8, "mode": "mxfp8"},
            "model.layers.0.mlp.up_proj": {"group_size": 16, "bits": 4, "mode": "nvfp4"},
            "model.layers.1.self_attn.o_proj": False,
            "model.layers.1.mlp.down_proj": {"group_size": 64, "bits": 4, "mode": "affine"}})),
    "qwen3/q8-g128": dict(covers="8 bit g128, tied", dtype="f16", E=128, F=128, D=32, L=1, K=1,
                          tie=True, quant=quant(8, 128), seed=73),
}
