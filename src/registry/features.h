/* features.h: the feature flags of this build: on exactly when a test drives the feature end to
 * end, else off with the reason. */
#ifndef REGISTRY_FEATURES_H
#define REGISTRY_FEATURES_H

#include "base/buf.h"

/* Appends {"name":{"on":bool,"why":".."},..}. A flag's test is named in features.c. */
void features_write(buf *out);

#endif
