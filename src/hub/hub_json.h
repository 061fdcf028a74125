/* hub_json.h: JSON from the network: parsed only within limits, strictly, every field by its type.
 *
 * Stricter than json.h: no NUL byte, at most HUB_JSON_DEPTH levels, no key twice, no NaN, no lone
 * surrogate. Whatever is wrong is CORRUPT: it came from a server. */
#ifndef HUB_HUB_JSON_H
#define HUB_HUB_JSON_H

#include "base/json.h"

enum { HUB_JSON_DEPTH = 64 };

mlxe_status hub_json_parse(const char *where, const char *text, size_t bytes, json_doc **out,
                           mlxe_error *err);

/* A member that must be there. Fails CORRUPT ("WHERE: \"size\" is a string, want ...") */
mlxe_status hub_json_str(const json *object, const char *where, const char *key, strv *out,
                         mlxe_error *err);
mlxe_status hub_json_size(const json *object, const char *where, const char *key, uint64_t *out,
                          mlxe_error *err);

#endif
