/* kernels_avx512.c: the kernels for AVX-512 F, BW, DQ, VL, VBMI (see internal.h, tpl_table.h), and
 * the same with AMX tiles for products of bytes.
 * 6 x 4 sums, 4 weight vectors and one of x: 29 of 32 registers. */
#include "kernels/tpl.h"

#if defined(__AVX512VBMI__)
#include "kernels/vec_avx512.h"

#include "kernels/int8_avx512.h"

#define TILE_ROWS 6
#define TABLE     kn_ops_avx512
#include "kernels/tpl_table.h"

#include "kernels/int8_amx.h"
extern const kn_ops kn_ops_amx;
const kn_ops kn_ops_amx = {KERNELS("amx", dot_bytes_amx)};
#endif
