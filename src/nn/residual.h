/* residual.h: what the CPU blocks that add to the stream of activations share. */
#ifndef NN_RESIDUAL_H
#define NN_RESIDUAL_H

#include "nn/nn.h"

/* The task as a node over x [T,E] f32 whose output starts as x, so that the block's last projection
 * accumulates into it. name: static; params: copied. -> [T,E]; NULL with the scope's error set */
mx nn_residual(mx_scope *g, const char *name, mx_task task, const void *params, size_t bytes, mx x);

#endif
