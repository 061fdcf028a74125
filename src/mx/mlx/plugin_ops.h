/* plugin_ops.h: what plugin.cpp and ops.cpp share. */
#pragma once

#include <atomic> /* mx.h takes atomic_int from it */

extern "C" {
#include "mx/plugin.h"
}

#include <mlx/mlx.h>

#include <vector>

namespace mc = mlx::core;

namespace mlxe {

using OpFn = mc::array (*)(const std::vector<mc::array> &in, const mx_attr &attr);
extern const OpFn op_table[MX_OPS];

mc::Dtype mlx_dtype(mx_dtype dtype);
mx_dtype c_dtype(mc::Dtype dtype); /* throws for a dtype that mx.h does not have */
size_t mx_dtype_size(mx_dtype dtype);

} // namespace mlxe
