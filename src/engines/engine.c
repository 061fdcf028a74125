/* engine.c: which engine opens which files. */
#include "engines/engine.h"

mlxe_status engine_find(const model_files *files, const engine_ops **out, mlxe_error *err)
{
    (void)files, (void)err;
    *out = &engine_mlx; /* the one engine of this build; it refuses what it does not know by name */
    return MLXE_OK;
}
