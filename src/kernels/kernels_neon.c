/* kernels_neon.c: the kernels for AArch64 with dot products (see internal.h, tpl_table.h), and the
 * same with products of small matrices of bytes (i8mm).
 * 6 x 4 sums, 4 vectors of weights and one of x fill 29 of the 32 registers.
 *
 * Run under an emulator only (tools/neon.sh): correct there, their speed is not known. */
#include "kernels/tpl.h"

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#include "kernels/vec_neon.h"

#include "kernels/int8_neon.h"

#define TILE_ROWS 6
#define TABLE     kn_ops_neon
#include "kernels/tpl_table.h"

#include "kernels/int8_i8mm.h"
extern const kn_ops kn_ops_i8mm;
const kn_ops kn_ops_i8mm = {KERNELS("i8mm", dot_bytes_i8mm)};
#endif
