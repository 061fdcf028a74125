/* arena.h: memory that is freed all at once: a parsed file, a compiled template, one request. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/strv.h"

#include <stddef.h>

typedef struct arena_block arena_block;

typedef struct arena {
    arena_block *head;
    size_t used_bytes;  /* handed out so far */
    size_t limit_bytes; /* 0: none; an allocation over it fails */
} arena;

/* Zeroed memory, aligned for any type, or NULL (no memory, limit, n * size too large). */
void *arena_alloc(arena *a, size_t bytes);
void *arena_array(arena *a, size_t n, size_t size);
/* A NUL-terminated copy, or NULL. */
char *arena_copy(arena *a, strv text);
/* Frees everything; the arena can be used again (its limit stays). */
void arena_deinit(arena *a);

#endif
