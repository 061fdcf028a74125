/* kernels_generic.c: the kernels in portable C (see internal.h, tpl_table.h). */
#include "kernels/tpl.h"

#include "kernels/vec_generic.h"

#include "kernels/int8_generic.h"

#define TILE_ROWS 2
#define TABLE     kn_ops_generic
#include "kernels/tpl_table.h"
