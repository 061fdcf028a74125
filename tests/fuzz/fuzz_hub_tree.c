/* fuzz_hub_tree.c: a page of a listing, and a listing that the cache keeps.
 *
 * What is taken must be safe to write: names pass the check again, and the cached form of it reads
 * back as the same listing. */
#include "base/fs.h"
#include "hub/tree.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hub_tree tree = {0};
    mlxe_error err;
    buf text = {0};
    if (!hub_tree_add_page(&tree, "page", (const char *)data, size, &err) &&
        !hub_tree_check(&tree, "page", &err)) {
        for (size_t i = 0; i < tree.n; i++)
            if (hub_path_check(tree.entries[i].path, NULL) ||
                !hub_etag_usable(hub_entry_etag(&tree.entries[i])))
                abort();
        hub_tree_write(&tree, &text);
    }
    buf_deinit(&text);
    hub_tree_deinit(&tree);
    return 0;
}
