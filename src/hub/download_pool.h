/* download_pool.h: large files that idle threads of a download may help with. */
#ifndef HUB_DOWNLOAD_POOL_H
#define HUB_DOWNLOAD_POOL_H

#include "hub/transfer.h"

typedef struct download_pool download_pool;

/* t may be joined from now on, until withdrawn; withdrawing waits until no helper is in it. */
void pool_publish(download_pool *pool, transfer *t);
void pool_withdraw(download_pool *pool, transfer *t);

#endif
