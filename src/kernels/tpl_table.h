/* tpl_table.h: the kernels of one instruction set and their table. The file that includes it has
 * included a vec_*.h and defines TILE_ROWS (rows of x in a register tile) and TABLE. A set that
 * shares all kernels but some may put a second table beside it with KERNELS. */
#ifndef KERNELS_TPL_TABLE_H
#define KERNELS_TPL_TABLE_H

#include "kernels/tpl_math.h"

#include "kernels/tpl_linear.h"

#include "kernels/tpl_int8.h"
#include "kernels/tpl_kv.h"

#include "kernels/tpl_attention.h"
#include "kernels/tpl_rows.h"

#define KERNELS(title, bytes_by)                                                                   \
    .name = (title), .panel_rows = Q_NP, .panels = Q_TILE_2 ? 2 : 1, .dot_bytes = (bytes_by),      \
    .quantize = quantize, .quantize_2 = quantize_2, .dot_rows = dot_rows, .unpack = unpack,        \
    .tile = tile, .kv_pack = kv_pack, .kv_keys = kv_keys, .kv_values = kv_values, .put = put,      \
    .attend = attend, .sum_lanes = sum_lanes, .merge = merge, .scale_row = scale_row,              \
    .norm_row = norm_row, .layer_row = layer_row, .softmax_row = softmax_row,                      \
    .first_above = first_above, .gated = gated, .rotate = rotate

extern const kn_ops TABLE;
const kn_ops TABLE = {KERNELS(V_NAME, dot_bytes)};

#endif
