/* need.h: how much memory a model that the Hub lists would need here, before any of it is fetched.
 *
 *   need = weights + weights / 8 + 1 GiB
 *
 *   weights   parameters of each dtype x its bytes, as the Hub counted them in the safetensors
 *             headers; where it did not, or where a packing is counted unpacked: sizes of the
 *             weight files
 *   the rest  the KV cache of some thousand tokens and working memory, which a listing does not
 *             tell: a share for models whose cache is large, a constant for small ones
 *
 * Pure functions of JSON. Thread any.
 * Source: the Hub's `safetensors` member (huggingface_hub SafeTensorsInfo); its counter multiplies
 * the counts of tensors that a quantisation method packs, which is why those are left to the
 * files. */
#ifndef HUB_NEED_H
#define HUB_NEED_H

#include "base/json.h"

#include <stdint.h>

typedef struct hub_need {
    uint64_t weight_bytes, need_bytes;
    const char *counted; /* "parameters" or "files" */
} hub_need;

/* model: an entry of a search with `safetensors` and `config`. -> 1; 0: it does not tell */
int hub_need_of_counts(const json *model, hub_need *out);
/* info: a description with blobs=true. The weights are all *.safetensors below no folder, or below
 * any when there are none; else the smallest GGUF (shards together); else *.npz, else *.bin.
 * -> 1; 0: no weight file of known size */
int hub_need_of_files(const json *info, hub_need *out);

#endif
