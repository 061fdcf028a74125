/* describe_hub.h: a Hub id described as a folder is, without fetching weights. */
#ifndef REGISTRY_DESCRIBE_HUB_H
#define REGISTRY_DESCRIBE_HUB_H

#include "hub/hub.h"

/* The object of `show`. From the cache when the copy is complete, and when nothing else can be
 * reached; else the small files are fetched into the cache. Fails as hub_snapshot */
mlxe_status describe_hub(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                         mlxe_error *err);
/* {"revision","files":[{"path","size"}]} */
mlxe_status describe_hub_files(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                               mlxe_error *err);

#endif
