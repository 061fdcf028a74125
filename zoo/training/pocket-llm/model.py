"""The pocket model in PyTorch: the Qwen3 decoder, written for packed training, and MLX's 4-bit rounding.

  ids [T] -> embed [T,E] -> L x { norm, attention, norm, gated mlp } -> norm -> tied head [T,V]

Parameters carry Hugging Face's names, so a checkpoint is a plain state dict. `packed` runs documents laid end to end
(each attends to itself only); `prefill` and `decode` run a padded batch in float32 for the evaluation.
"""
import inspect

import torch
import torch.nn.functional as F

from config import CONFIG  # noqa: F401 (re-exported)

GROUP, LEVELS = 64, 15


def rounded(w):
    """w [N,K] f32 -> what MLX's affine quantisation (4 bits, groups of 64, bf16 scales and biases) gives back.

    The edge of larger magnitude is hit exactly and zero is a level, so scales may be negative.
    Source: mlx, mx.quantize; scales and biases are found in float32 and rounded to bf16 after.
    """
    g = w.float().reshape(-1, GROUP)
    hi, lo = g.amax(1, keepdim=True), g.amin(1, keepdim=True)
    low_edge = lo.abs() > hi.abs()
    scale = ((hi - lo) / LEVELS).clamp_min(1e-7)
    scale = torch.where(low_edge, scale, -scale)
    edge = torch.where(low_edge, lo, hi)
    q0 = torch.round(edge / scale)
    scale = torch.where(q0 != 0, edge / torch.where(q0 != 0, q0, 1), scale)
    bias = torch.where(q0 != 0, edge, torch.zeros_like(edge))
    q = torch.round((g - bias) / scale).clamp(0, LEVELS)
    return (q * scale.bfloat16().float() + bias.bfloat16().float()).reshape(w.shape)


def parameters(config, seed):
    """The initial state dict, float32."""
    g = torch.Generator().manual_seed(seed)
    e, f, d = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    h, k = config["num_attention_heads"], config["num_key_value_heads"]

    def normal(n, m, std):
        return torch.empty(n, m).normal_(0, std, generator=g)
    p = {"model.embed_tokens.weight": normal(config["vocab_size"], e, 0.05), "model.norm.weight": torch.ones(e)}
    for i in range(config["num_hidden_layers"]):
        b = "model.layers.%d." % i
        out = 0.5 / (2 * config["num_hidden_layers"]) ** 0.5
        p[b + "self_attn.q_proj.weight"] = normal(h * d, e, e ** -0.5)
        p[b + "self_attn.k_proj.weight"] = normal(k * d, e, e ** -0.5)
        p[b + "self_attn.v_proj.weight"] = normal(k * d, e, e ** -0.5)
        p[b + "self_attn.o_proj.weight"] = normal(e, h * d, out * (h * d) ** -0.5)
        p[b + "mlp.gate_proj.weight"] = normal(f, e, e ** -0.5)
        p[b + "mlp.up_proj.weight"] = normal(f, e, e ** -0.5)
        p[b + "mlp.down_proj.weight"] = normal(e, f, out * f ** -0.5)
        p[b + "self_attn.q_norm.weight"], p[b + "self_attn.k_norm.weight"] = torch.ones(d), torch.ones(d)
        p[b + "input_layernorm.weight"], p[b + "post_attention_layernorm.weight"] = torch.ones(e), torch.ones(e)
    return p


def norm(x, w):
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6) * w).to(x.dtype)


def rotate(x, cos, sin):
    """x [..., H, D], cos and sin [..., 1, D/2]: rope on the pairs (i, i + D/2)."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


def angles(config, positions):
    d = config["head_dim"]
    f = config["rope_theta"] ** (-torch.arange(0, d, 2, device=positions.device, dtype=torch.float32) / d)
    a = positions.float()[..., None] * f
    return a.cos()[..., None, :], a.sin()[..., None, :]


def packed_attention(q, k, v, ends, longest):
    """q [T,H,D], k and v [T,K,D]; ends [N+1] offsets of the documents. Causal inside each document."""
    from torch.nn.attention.varlen import varlen_attn
    n = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(n, 1), v.repeat_interleave(n, 1)
    names = inspect.signature(varlen_attn).parameters
    causal = {"is_causal": True} if "is_causal" in names else {"window_size": (-1, 0)}
    return varlen_attn(q, k, v, ends, ends, longest, longest, **causal)


def packed(p, config, ids, positions, ends, longest):
    """-> hidden states [T,E] after the last norm. Weights are used in bf16 as given in p."""
    h, kv, d = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    cos, sin = angles(config, positions)
    x = F.embedding(ids, p["model.embed_tokens.weight"]).bfloat16()
    for i in range(config["num_hidden_layers"]):
        b = "model.layers.%d." % i

        def linear(y, name):
            return F.linear(y, p[b + name + ".weight"].bfloat16())
        y = norm(x, p[b + "input_layernorm.weight"])
        q = rotate(norm(linear(y, "self_attn.q_proj").unflatten(-1, (h, d)), p[b + "self_attn.q_norm.weight"]), cos, sin)
        k = rotate(norm(linear(y, "self_attn.k_proj").unflatten(-1, (kv, d)), p[b + "self_attn.k_norm.weight"]), cos, sin)
        v = linear(y, "self_attn.v_proj").unflatten(-1, (kv, d))
        x = x + linear(packed_attention(q, k, v, ends, longest).flatten(-2), "self_attn.o_proj")
        y = norm(x, p[b + "post_attention_layernorm.weight"])
        x = x + linear(F.silu(linear(y, "mlp.gate_proj")) * linear(y, "mlp.up_proj"), "mlp.down_proj")
    return norm(x, p["model.norm.weight"])


def padded(p, config, ids):
    """ids [B,T], padded on the right -> hidden states [B,T,E], in float32 and with gradients."""
    h, kv, d = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    cos, sin = angles(config, torch.arange(ids.shape[1], device=ids.device))
    x = F.embedding(ids, p["model.embed_tokens.weight"])
    for i in range(config["num_hidden_layers"]):
        b = "model.layers.%d." % i
        y = norm(x, p[b + "input_layernorm.weight"])
        q, k, v = (F.linear(y, p[b + "self_attn.%s_proj.weight" % n]).unflatten(-1, (-1, d)) for n in "qkv")
        q, k = rotate(norm(q, p[b + "self_attn.q_norm.weight"]), cos, sin), rotate(norm(k, p[b + "self_attn.k_norm.weight"]), cos, sin)
        k, v = k.repeat_interleave(h // kv, 2), v.repeat_interleave(h // kv, 2)
        o = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + F.linear(o.transpose(1, 2).flatten(-2), p[b + "self_attn.o_proj.weight"])
        y = norm(x, p[b + "post_attention_layernorm.weight"])
        x = x + F.linear(F.silu(F.linear(y, p[b + "mlp.gate_proj.weight"])) * F.linear(y, p[b + "mlp.up_proj.weight"]), p[b + "mlp.down_proj.weight"])
    return norm(x, p["model.norm.weight"])


class Reader:
    """Greedy generation of a padded batch in float32."""

    def __init__(self, p, config):
        self.p, self.c = {k: v.float() for k, v in p.items()}, config

    def step(self, ids, positions, cache, mask):
        """ids, positions [B,T]; mask [B,T,S] of what may be seen; cache: a list of [B,S,K,D] pairs, written at positions."""
        c, p = self.c, self.p
        h, kv, d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        cos, sin = angles(c, positions)
        x = F.embedding(ids, p["model.embed_tokens.weight"])
        where = positions[..., None, None].expand(-1, -1, kv, d)
        for i in range(c["num_hidden_layers"]):
            b = "model.layers.%d." % i

            def linear(y, name):
                return F.linear(y, p[b + name + ".weight"])
            y = norm(x, p[b + "input_layernorm.weight"])
            q = rotate(norm(linear(y, "self_attn.q_proj").unflatten(-1, (h, d)), p[b + "self_attn.q_norm.weight"]), cos, sin)
            k = rotate(norm(linear(y, "self_attn.k_proj").unflatten(-1, (kv, d)), p[b + "self_attn.k_norm.weight"]), cos, sin)
            v = linear(y, "self_attn.v_proj").unflatten(-1, (kv, d))
            ck, cv = cache[i]
            ck.scatter_(1, where, k)
            cv.scatter_(1, where, v)
            n = h // kv
            o = F.scaled_dot_product_attention(q.transpose(1, 2), ck.repeat_interleave(n, 2).transpose(1, 2), cv.repeat_interleave(n, 2).transpose(1, 2), attn_mask=mask[:, None])
            x = x + linear(o.transpose(1, 2).flatten(-2), "self_attn.o_proj")
            y = norm(x, p[b + "post_attention_layernorm.weight"])
            x = x + linear(F.silu(linear(y, "mlp.gate_proj")) * linear(y, "mlp.up_proj"), "mlp.down_proj")
        return norm(x, p["model.norm.weight"])

    @torch.no_grad()
    def generate(self, prompts, limit):
        """prompts: lists of ids. -> lists of generated ids, without the end token."""
        dev = self.p["model.norm.weight"].device
        n, longest = len(prompts), max(map(len, prompts))
        room = longest + limit
        ids = torch.full((n, longest), self.c["pad_token_id"], device=dev)
        for i, x in enumerate(prompts):
            ids[i, :len(x)] = torch.tensor(x, device=dev)
        c = self.c
        cache = [[torch.zeros(n, room, c["num_key_value_heads"], c["head_dim"], device=dev) for _ in range(2)] for _ in range(c["num_hidden_layers"])]
        seen = torch.arange(room, device=dev)
        at = torch.arange(longest, device=dev).expand(n, -1)
        x = self.step(ids, at, cache, seen <= at[..., None])
        at = torch.tensor([len(x) for x in prompts], device=dev)
        x = x[torch.arange(n, device=dev), at - 1]
        out, done = [], torch.zeros(n, dtype=torch.bool, device=dev)
        for k in range(limit):
            token = F.linear(x, self.p["model.embed_tokens.weight"]).argmax(-1)
            done |= token == c["eos_token_id"]
            out.append(torch.where(done, -1, token))
            if k % 8 == 7 and bool(done.all()):
                break
            pos = (at + k)[:, None]
            x = self.step(token[:, None], pos, cache, seen <= pos[..., None])[:, 0]
        out = torch.stack(out, 1).tolist()
        return [[t for t in row if t >= 0] for row in out]
