/* pool.h: the one thread pool of the process.
 *
 * Persistent workers that spin briefly, then sleep; a run hands out chunks from an atomic counter,
 * so uneven cores share the work. The caller of kn_run takes part. Runs do not nest and come from
 * one thread at a time (the MLX thread); a second caller waits its turn. Workers start with all
 * signals blocked and are never torn down. */
#ifndef KERNELS_POOL_H
#define KERNELS_POOL_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

/* Work on chunk `chunk` of `n_chunks`, by worker `worker` (0 is the caller's thread). */
typedef void (*kn_task)(void *ctx, int chunk, int n_chunks, int worker);

/* Starts the pool; later calls with the same count (or 0) do nothing, another count is
 * MLXE_E_STATE. threads 0: as many as affinity mask and cgroup CPU quota allow. Thread any */
mlxe_status kn_pool_start(int threads, mlxe_error *err);
int kn_pool_threads(void); /* workers, the caller's thread included; 1 before the start */

/* Runs task over all chunks and returns when all are done. cancel (may be NULL) is polled before
 * each chunk: when it is set, the chunks left are dropped.
 * -> MLXE_OK, MLXE_E_CANCELLED, MLXE_E_STATE (forked child; inside a task) */
mlxe_status kn_run(kn_task task, void *ctx, int n_chunks, const atomic_int *cancel);

#endif
