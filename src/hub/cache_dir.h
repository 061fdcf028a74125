/* cache_dir.h: what the writers of the cache share: folders opened without following links. */
#ifndef HUB_CACHE_DIR_H
#define HUB_CACHE_DIR_H

#include "base/error.h"
#include "base/strv.h"

typedef enum cache_dir_mode { CACHE_DIR_OPEN, CACHE_DIR_MAKE } cache_dir_mode;

/* Opens repo/relative, one folder at a time, no link followed below repo. -> descriptor, or -1 with
 * errno */
int cache_dir_open(const char *repo, strv relative, cache_dir_mode mode);

/* "path: cannot WHAT, reason": FIT for a full disk, quota or size limit, else IO. */
mlxe_status cache_io_error(const char *path, const char *what, int number, mlxe_error *err);

/* Random digits and a NUL; at most 32. */
void cache_random_hex(char *out, size_t digits);

#endif
