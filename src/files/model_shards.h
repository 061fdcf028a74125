/* model_shards.h: which weight files a model folder consists of (inside src/files). */
#ifndef FILES_MODEL_SHARDS_H
#define FILES_MODEL_SHARDS_H

#include "base/arena.h"
#include "files/model_files.h"

typedef struct shard_list {
    arena mem;
    const char **names; /* plain names of files in the folder, each once */
    size_t n, cap;
    json_doc *index; /* model.safetensors.index.json, or NULL */
} shard_list;

/* Finds the weight files: model.safetensors, else those that the index lists, else
 * model*.safetensors. Fails NOT_FOUND (none), UNSUPPORTED (other formats only), CORRUPT (index,
 * missing shard), IO, MEMORY */
mlxe_status shards_find(const char *folder, shard_list *out, mlxe_error *err);

/* With all headers read: each tensor that the index lists is in the shard that it names. */
mlxe_status shards_check(const shard_list *s, const model_files *f, mlxe_error *err);

void shards_deinit(shard_list *s);

#endif
