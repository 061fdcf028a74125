/* ops.cpp: mx.h's ops, one small function each, in the order of MX_OP_LIST.
 *
 * Everything may throw: plugin.cpp turns that into the scope's failure. */
#include "plugin_ops.h"

#include <mlx/fast.h>

#include <stdexcept>

namespace mlxe {

using In = const std::vector<mc::array> &;
using At = const mx_attr &;

static mc::Shape ints(At attr, int from, int n)
{
    return mc::Shape(attr.ints + from, attr.ints + from + n);
}

static mc::array op_add(In in, At) { return mc::add(in[0], in[1]); }
static mc::array op_subtract(In in, At) { return mc::subtract(in[0], in[1]); }
static mc::array op_multiply(In in, At) { return mc::multiply(in[0], in[1]); }
static mc::array op_divide(In in, At) { return mc::divide(in[0], in[1]); }
static mc::array op_maximum(In in, At) { return mc::maximum(in[0], in[1]); }
static mc::array op_tanh(In in, At) { return mc::tanh(in[0]); }
static mc::array op_erf(In in, At) { return mc::erf(in[0]); }
static mc::array op_sigmoid(In in, At) { return mc::sigmoid(in[0]); }
static mc::array op_matmul(In in, At) { return mc::matmul(in[0], in[1]); }
static mc::array op_softmax(In in, At at) { return mc::softmax(in[0], at.ints[0], true); }
static mc::array op_argmax(In in, At at) { return mc::argmax(in[0], at.ints[0]); }
static mc::array op_take(In in, At at) { return mc::take(in[0], in[1], at.ints[0]); }
static mc::array op_astype(In in, At at)
{
    return mc::astype(in[0], mlx_dtype(mx_dtype(at.ints[0])));
}
static mc::array op_reshape(In in, At at) { return mc::reshape(in[0], ints(at, 0, at.n_ints)); }

static mc::array op_transpose(In in, At at)
{
    return mc::transpose(in[0], std::vector<int>(at.ints, at.ints + at.n_ints));
}

static mc::array op_slice(In in, At at)
{
    return mc::slice(in[0], ints(at, 0, at.n_ints), ints(at, at.n_ints, at.n_ints));
}

static mc::array op_concatenate(In in, At at) { return mc::concatenate(in, at.ints[0]); }

static mc::array op_quantized_matmul(In in, At at)
{
    return mc::quantized_matmul(in[0], in[1], in[2], in[3], true, at.ints[0], at.ints[1]);
}

static mc::array op_dequantize(In in, At at)
{
    return mc::dequantize(in[0], in[1], in[2], at.ints[0], at.ints[1]);
}

static mc::array op_rms_norm(In in, At at)
{
    return mc::fast::rms_norm(in[0], in.size() > 1 ? std::optional(in[1]) : std::nullopt,
                              at.number);
}

static mc::array op_rope(In in, At at)
{
    return mc::fast::rope(in[0], at.ints[0], false, std::nullopt, 1.0f, at.ints[1], in[1]);
}

static mc::array op_attention(In in, At at)
{
    std::optional<mc::array> mask;
    if (in.size() > 3) mask = in[3];
    return mc::fast::scaled_dot_product_attention(in[0], in[1], in[2], at.number, "", mask);
}

const OpFn op_table[MX_OPS] = {
#define ROW(name) op_##name,
    MX_OP_LIST(ROW)
#undef ROW
};

mc::Dtype mlx_dtype(mx_dtype dtype)
{
    switch (dtype) {
    case MX_F32:
        return mc::float32;
    case MX_F16:
        return mc::float16;
    case MX_BF16:
        return mc::bfloat16;
    case MX_I32:
        return mc::int32;
    case MX_U32:
        return mc::uint32;
    case MX_U8:
        return mc::uint8;
    case MX_BOOL:
        return mc::bool_;
    }
    throw std::invalid_argument("unknown dtype");
}

mx_dtype c_dtype(mc::Dtype dtype)
{
    for (int i = MX_F32; i <= MX_BOOL; i++)
        if (mlx_dtype(mx_dtype(i)) == dtype) return mx_dtype(i);
    throw std::invalid_argument("dtype that has no name in mx.h");
}

size_t mx_dtype_size(mx_dtype dtype) { return size_of(mlx_dtype(dtype)); }

} // namespace mlxe
