/* measure.h: what this machine can do at most, measured by the pool that runs the kernels.
 *
 * Shares of these figures are what a benchmark prints, so they are taken in the same run, with the
 * same threads, close in time: on a shared machine neither memory nor cores stay the same. */
#ifndef KERNELS_MEASURE_H
#define KERNELS_MEASURE_H

#include "base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that is read: a tensor, a file's mapping. */
typedef struct kn_span {
    const void *p;
    size_t bytes;
} kn_span;

/* Sums all 64-bit words of the spans (bytes at their ends left out), all threads, each word once.
 * -> MLXE_OK, MLXE_E_CANCELLED, MLXE_E_STATE. *sum: so that the reads cannot be left out */
mlxe_status kn_sum_read(const kn_span *spans, int n, uint64_t *sum, const atomic_int *cancel);

typedef enum kn_peak {
    KN_PEAK_F32, /* fused multiply-adds of 32-bit floats */
    KN_PEAK_INT8 /* products of 8-bit integers summed in 32 bits */
} kn_peak;

/* Multiplications and additions a second, two a multiply-add, on registers, all threads, best of
 * what fits in `ms`. 0 where the chosen instruction set has no such loop.
 * -> MLXE_OK, MLXE_E_CANCELLED, MLXE_E_STATE */
mlxe_status kn_peak_measure(kn_peak kind, double ms, double *per_second, const atomic_int *cancel);

#endif
