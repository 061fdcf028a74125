/* pages.h: large blocks of memory in large pages, where the system grants them. */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

#include <stddef.h>

/* A block that will be filled whole, before it is: half of the time that a large file takes to be
 * read and parsed is else spent on taking memory in small pages. Small blocks are left alone. -> p
 */
void *pages_large(void *p, size_t bytes);

#endif
