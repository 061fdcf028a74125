/* pages.c: asks for large pages behind a block.
 *
 * Only an advice: the block stays the allocator's, who may grant it or not. The large pages inside
 * of the block are meant, not those that it shares with others.
 *
 * Source: Linux, admin-guide/mm/transhuge ("madvise"). */
#define _DEFAULT_SOURCE /* madvise */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

void *pages_large(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    enum { PAGE = 2 << 20 };
    uintptr_t from = ((uintptr_t)p + PAGE - 1) / PAGE * PAGE,
              to = ((uintptr_t)p + bytes) / PAGE * PAGE;
    if (p && to > from) madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)bytes;
#endif
    return p;
}
