/* arena.c: bump allocation in blocks that double up to 1 MiB.
 *
 * A request of more than a quarter of the largest block has a block of its own behind the current
 * one, which goes on being filled: large and small requests in turn waste nothing. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

struct arena_block {
    arena_block *next;
    size_t used, cap; /* bytes of data, which follows this header */
    max_align_t data[];
};

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20, OWN_BLOCK = LARGEST_BLOCK / 4 };

static arena_block *block_new(arena *a, size_t bytes)
{
    int own = bytes > OWN_BLOCK && a->head;
    size_t cap = FIRST_BLOCK;
    arena_block *block;
    if (a->head) cap = a->head->cap < LARGEST_BLOCK / 2 ? a->head->cap * 2 : LARGEST_BLOCK;
    if (own || cap < bytes) cap = bytes;
    block = calloc(1, sizeof *block + cap);
    if (!block) return NULL;
    block->cap = cap;
    block->next = own ? a->head->next : a->head;
    if (own)
        a->head->next = block;
    else
        a->head = block;
    return block;
}

void *arena_alloc(arena *a, size_t bytes)
{
    const size_t align = _Alignof(max_align_t);
    arena_block *block = a->head;
    void *p;
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + align - 1) / align * align;
    if (!bytes) bytes = align;
    if (a->limit_bytes &&
        bytes > a->limit_bytes - (a->used_bytes < a->limit_bytes ? a->used_bytes : a->limit_bytes))
        return NULL;
    if (!block || block->cap - block->used < bytes) block = block_new(a, bytes);
    if (!block) return NULL;
    p = (char *)block->data + block->used;
    block->used += bytes;
    a->used_bytes += bytes;
    return p;
}

void *arena_array(arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / 2 / size) return NULL;
    return arena_alloc(a, n * size);
}

char *arena_copy(arena *a, strv text)
{
    char *p = arena_alloc(a, text.n + 1);
    if (p && text.n) memcpy(p, text.p, text.n);
    return p;
}

void arena_deinit(arena *a)
{
    while (a->head) {
        arena_block *next = a->head->next;
        free(a->head);
        a->head = next;
    }
    a->used_bytes = 0;
}
