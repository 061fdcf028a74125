/* kernels_avx2.c: the kernels for AVX2 + FMA + F16C (see internal.h, tpl_table.h).
 * 3 x 4 sums, 3 rows of x or 4 of weights and one more fill the 16 registers. */
#include "kernels/tpl.h"

#if defined(__AVX2__)
#include "kernels/vec_avx2.h"

#include "kernels/int8_avx2.h"

#define TILE_ROWS 3
#define TABLE     kn_ops_avx2
#include "kernels/tpl_table.h"
#endif
